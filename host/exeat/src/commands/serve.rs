//! `exeat serve`.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use exeat_api::App;
use exeat_engine::{Engine, worker};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::interrupted;
use crate::cli::ServeArgs;

/// How long requests at hand may take to end once the server is told to.
const GRACE: Duration = Duration::from_secs(10);

/// Serves until interrupted.
pub(crate) async fn run(data: &Path, args: ServeArgs) -> Result<ExitCode> {
    let engine = Engine::open(data).await?;
    let listener = listen(args.listen).await?;
    eprintln!("listening on http://{}", listener.local_addr()?);
    serve(engine, listener, args.workers).await
}

/// A listener, or why there is none.
pub(super) async fn listen(address: std::net::SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; --listen names another address"))
}

/// Serves with so many workers until interrupted; jobs at hand go back into the queue.
pub(super) async fn serve(engine: Engine, listener: TcpListener, workers: u8) -> Result<ExitCode> {
    let stop = CancellationToken::new();
    let on_interrupt = stop.clone();
    tokio::spawn(async move {
        interrupted().await;
        on_interrupt.cancel();
    });
    engine.recover().await?;
    let admitting = engine.clone();
    tokio::spawn(async move {
        if let Err(error) = admitting.resume_admissions().await {
            tracing::error!(%error, "admissions that were left behind cannot be resumed");
        }
    });
    let workers: Vec<_> = (0..workers)
        .map(|_| tokio::spawn(worker::work(engine.clone(), stop.clone())))
        .collect();
    let served = exeat_api::serve(App::new(engine.clone()), listener, stop.clone());
    let overdue = async {
        stop.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        served = served => served?,
        () = overdue => tracing::warn!("requests were cut off: they took longer than the time to stop"),
    }
    stop.cancel();
    for worker in workers {
        worker.await?;
    }
    engine.directory().close().await;
    Ok(ExitCode::SUCCESS)
}
