//! The server's worker: takes queued jobs, one at a time, until it is told to stop.

use std::time::Duration;

use exeat_directory::jobs::Job;
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::progress::ProgressWatch;

/// How often the queue is looked at when nobody says that there is something in it.
const POLL_EVERY: Duration = Duration::from_secs(2);

/// Runs queued jobs until `stop`. A job at hand then goes back into the queue.
///
/// # Errors
/// What a dead process left cannot be cleared up.
pub async fn work(engine: Engine, stop: CancellationToken) -> Result<(), EngineError> {
    engine.recover().await?;
    while !stop.is_cancelled() {
        match engine.directory().take_job().await {
            Ok(Some(job)) => run(&engine, &job, &stop).await,
            Ok(None) => {
                tokio::select! {
                    () = engine.queued.notified() => {}
                    () = tokio::time::sleep(POLL_EVERY) => {}
                    () = stop.cancelled() => {}
                }
            }
            Err(error) => {
                tracing::error!(%error, "the queue cannot be read");
                tokio::time::sleep(POLL_EVERY).await;
            }
        }
    }
    Ok(())
}

async fn run(engine: &Engine, job: &Job, stop: &CancellationToken) {
    let progress = ProgressWatch::default();
    let never = CancellationToken::new();
    let ended = tokio::select! {
        ended = engine.run_job(job, &progress, &never) => ended,
        () = stop.cancelled() => {
            if let Err(error) = engine.directory().requeue_job(job).await {
                tracing::error!(job = job.job_id, %error, "the job could not be handed back");
            }
            return;
        }
    };
    match ended {
        Ok(completed) => {
            tracing::info!(
                job = job.job_id,
                rows = completed.manifest.rows.written,
                "export completed"
            );
        }
        Err(EngineError::Export(failure)) => {
            tracing::warn!(job = job.job_id, code = failure.code(), "export failed");
        }
        Err(error) => tracing::error!(job = job.job_id, %error, "the job could not be run"),
    }
}
