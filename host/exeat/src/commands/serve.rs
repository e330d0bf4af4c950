//! `exeat serve`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use exeat_api::App;
use exeat_engine::worker::{self, Stop};
use exeat_engine::{Engine, EngineSettings};
use tokio::net::TcpListener;

use super::interrupted;
use crate::cli::{Place, ServeArgs};

/// How long answers may still take once streams were cut off.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Serves until interrupted.
pub(crate) async fn run(place: &Place, args: ServeArgs) -> Result<ExitCode> {
    let settings = EngineSettings {
        webhooks: args.house.webhooks(),
        ..place.settings_with(args.house.settings())?
    };
    let engine = Engine::open(settings).await?;
    engine.vault().check().await?;
    place.warn_of_local_files();
    let listener = listen(args.listen).await?;
    let mut app = App::new(engine.clone())
        .reached_at(args.public_url.as_deref())
        .limited_to(args.rate_limit);
    if let Some(issuer) = args.oidc.settings() {
        app = app.trusting(issuer).context("--oidc-issuer")?;
    }
    eprintln!("listening on http://{}", listener.local_addr()?);
    serve(engine, app, listener, args.workers, args.house.grace).await
}

/// A listener, or why there is none.
pub(super) async fn listen(address: std::net::SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; --listen names another address"))
}

/// Serves with so many workers until interrupted. Requests, streams and exports at hand may go on
/// for the time of grace. Then streams are cut off and exports handed back; a second interruption
/// does so at once.
pub(super) async fn serve(
    engine: Engine,
    app: App,
    listener: TcpListener,
    workers: u8,
    grace: Duration,
) -> Result<ExitCode> {
    let stop = Stop::default();
    let (stopping, closing) = (stop.clone(), engine.clone());
    tokio::spawn(async move {
        interrupted().await;
        tokio::select! {
            () = stopping.within(grace) => {}
            () = interrupted() => stopping.now.cancel(),
        }
        closing.close_streams();
    });
    let admitting = engine.clone();
    tokio::spawn(async move {
        if let Err(error) = admitting.resume_admissions().await {
            tracing::error!(%error, "admissions that were left behind cannot be resumed");
        }
    });
    let worker = (workers > 0).then(|| {
        let work = worker::work(engine.clone(), usize::from(workers), stop.clone());
        tokio::spawn(work)
    });
    let served = exeat_api::serve(app, listener, stop.soon.clone());
    let overdue = async {
        stop.now.cancelled().await;
        tokio::time::sleep(LAST_WORDS).await;
    };
    tokio::select! {
        () = served => {}
        () = overdue => tracing::warn!("requests were cut off: they took longer than the time to stop"),
    }
    stop.soon.cancel();
    if let Some(worker) = worker {
        worker.await?;
    }
    engine.directory().close().await;
    Ok(ExitCode::SUCCESS)
}
