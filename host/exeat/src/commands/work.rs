//! `exeat work`.

use std::process::ExitCode;

use anyhow::Result;
use exeat_engine::worker::{self, Stop};
use exeat_engine::{Engine, EngineSettings};

use super::interrupted;
use crate::cli::{Place, WorkArgs};

/// Runs exports until interrupted. A second interruption hands back what is at hand at once.
pub(crate) async fn run(place: &Place, args: WorkArgs) -> Result<ExitCode> {
    let settings = EngineSettings {
        webhooks: args.house.webhooks(),
        ..place.settings_with(args.house.settings())?
    };
    let engine = Engine::open(settings).await?;
    engine.vault().check().await?;
    place.warn_of_local_files();
    let stop = Stop::default();
    eprintln!(
        "working for {}, {} exports at once; Ctrl-C stops",
        place.database()?,
        args.jobs
    );
    let stopping = stop.clone();
    tokio::spawn(async move {
        interrupted().await;
        eprintln!(
            "finishing the exports at hand, for up to {} s",
            args.house.grace.as_secs()
        );
        tokio::select! {
            () = stopping.within(args.house.grace) => {}
            () = interrupted() => stopping.now.cancel(),
        }
    });
    worker::work(engine.clone(), usize::from(args.jobs), stop).await;
    engine.directory().close().await;
    Ok(ExitCode::SUCCESS)
}
