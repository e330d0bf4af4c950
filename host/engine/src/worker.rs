//! The server's worker: takes queued jobs, one at a time, until it is told to stop.

use std::time::Duration;

use exeat_directory::jobs::Job;
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::lock::JobLock;
use crate::progress::ProgressWatch;

/// How often the queue is looked at when nobody says that there is something in it.
const POLL_EVERY: Duration = Duration::from_secs(2);

/// Queued jobs that are looked at at once; other workers may be ahead of us with some.
const LOOK_AT: u32 = 16;

/// Runs queued jobs until `stop`. A job at hand then goes back into the queue. With nothing to do,
/// looks for jobs whose process has died.
pub async fn work(engine: Engine, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match take_job(&engine).await {
            Ok(Some((job, lock))) => run(&engine, &job, &lock, &stop).await,
            Ok(None) => {
                if let Err(error) = engine.recover().await {
                    tracing::error!(%error, "dead jobs cannot be recovered");
                }
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
}

/// Starts the oldest queued job that nobody else is starting. The lock comes first: a job that is
/// said to be running and is not locked is a dead one's.
async fn take_job(engine: &Engine) -> Result<Option<(Job, JobLock)>, EngineError> {
    for job_id in engine.directory().queued_jobs(LOOK_AT).await? {
        let Some(lock) = JobLock::take(engine.directory().folder(), &job_id)? else {
            continue;
        };
        if let Some(job) = engine.directory().start_job(&job_id).await? {
            return Ok(Some((job, lock)));
        }
    }
    Ok(None)
}

async fn run(engine: &Engine, job: &Job, lock: &JobLock, stop: &CancellationToken) {
    let ended = engine.run_job(job, lock, &ProgressWatch::default(), stop).await;
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
        // Its record may still say that it runs: once the lock is dropped, it is recovered.
        Err(error) => tracing::error!(job = job.job_id, %error, "the job could not be run"),
    }
}
