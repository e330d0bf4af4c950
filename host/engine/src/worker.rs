//! A worker: takes queued jobs, several at once, until it is told to stop; and keeps house.

use std::time::Duration;

use exeat_directory::DirectoryError;
use exeat_directory::jobs::Job;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::progress::ProgressWatch;
use crate::webhooks;

/// How often the queue is looked at when nobody says that there is something in it.
const POLL_EVERY: Duration = Duration::from_millis(500);

/// How often the dead are looked for.
const RECOVER_EVERY: Duration = Duration::from_secs(2);

/// How often files are looked for whose time is over.
const PURGE_EVERY: Duration = Duration::from_secs(60);

/// How often files are looked for that belong to nobody.
const SWEEP_EVERY: Duration = Duration::from_secs(3_600);

/// How long messages to webhooks may still take at the end.
const LAST_MESSAGES: Duration = Duration::from_secs(2);

/// When a worker ends.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// It takes no more jobs.
    pub soon: CancellationToken,
    /// It hands back those at hand.
    pub now: CancellationToken,
}

impl Stop {
    /// Stops taking jobs, and hands back those that are not done after the time of grace.
    pub async fn within(&self, grace: Duration) {
        self.soon.cancel();
        tokio::select! {
            () = sleep(grace) => {}
            () = self.now.cancelled() => {}
        }
        self.now.cancel();
    }
}

/// Runs up to `jobs` queued jobs at once, until `stop`. Those at hand are then finished, or handed
/// back when the time of grace is over.
pub async fn work(engine: Engine, jobs: usize, stop: Stop) {
    let recovering = tokio::spawn(recover(engine.clone(), stop.soon.clone()));
    let housekeeping = tokio::spawn(keep_house(engine.clone(), stop.soon.clone()));
    let telling = tokio::spawn(webhooks::send(engine.clone(), stop.soon.clone()));
    let hands: Vec<_> = (0..jobs)
        .map(|_| tokio::spawn(take_jobs(engine.clone(), stop.clone())))
        .collect();
    for hand in hands {
        if hand.await.is_err() {
            tracing::error!("a part of the worker died");
        }
    }
    recovering.abort();
    housekeeping.abort();
    // Messages at hand are given a moment; what is cut off is sent again.
    let _ = tokio::time::timeout(LAST_MESSAGES, telling).await;
}

async fn take_jobs(engine: Engine, stop: Stop) {
    while !stop.soon.is_cancelled() {
        match claim(&engine).await {
            Ok(Some(job)) => run(&engine, &job, &stop.now).await,
            Ok(None) => tokio::select! {
                () = engine.queued.notified() => {}
                () = sleep(POLL_EVERY) => {}
                () = stop.soon.cancelled() => {}
            },
            Err(error) => {
                tracing::error!(%error, "the queue cannot be read");
                tokio::select! {
                    () = sleep(RECOVER_EVERY) => {}
                    () = stop.soon.cancelled() => {}
                }
            }
        }
    }
}

/// Boxed, like [`run`]: so the compiler sees that it can be sent to another thread.
fn claim(engine: &Engine) -> BoxFuture<'_, Result<Option<Job>, DirectoryError>> {
    let settings = &engine.settings.jobs;
    engine
        .directory
        .claim_job(engine.worker.as_str(), settings.lease, settings.queue)
        .boxed()
}

fn run<'a>(engine: &'a Engine, job: &'a Job, stop: &'a CancellationToken) -> BoxFuture<'a, ()> {
    async move {
        match engine.run_job(job, &ProgressWatch::default(), stop).await {
            Ok(completed) => tracing::info!(
                job = job.job_id,
                attempt = job.attempt,
                rows = completed.manifest.rows.written,
                "export completed"
            ),
            Err(EngineError::Export(failure)) => tracing::warn!(
                job = job.job_id,
                attempt = job.attempt,
                code = failure.code(),
                reason = %exeat_gate::redact_text(&failure.to_string()),
                "an attempt ended without an export"
            ),
            Err(error) => tracing::error!(job = job.job_id, %error, "the job could not be run"),
        }
    }
    .boxed()
}

/// Recovers the jobs of the dead.
async fn recover(engine: Engine, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match engine.recover().await {
            Ok(0) => {}
            Ok(_) => engine.queued.notify_waiters(),
            Err(error) => tracing::error!(%error, "the jobs of dead workers cannot be recovered"),
        }
        rest(RECOVER_EVERY, &stop).await;
    }
}

/// Removes files whose time is over, and those that belong to nobody. That may take long.
async fn keep_house(engine: Engine, stop: CancellationToken) {
    let mut swept: Option<Instant> = None;
    while !stop.is_cancelled() {
        if swept.is_none_or(|at| at.elapsed() >= SWEEP_EVERY) {
            swept = Some(Instant::now());
            match engine.sweep().await {
                Ok(swept) if swept.orphans + swept.purged > 0 => {
                    tracing::info!(
                        purged = swept.purged,
                        orphans = swept.orphans,
                        "files were removed"
                    );
                }
                Ok(_) => {}
                Err(error) => tracing::error!(%error, "the vault cannot be swept"),
            }
        } else if let Err(error) = engine.purge().await {
            tracing::error!(%error, "exports whose time is over cannot be purged");
        }
        if let Err(error) = engine.directory.forget_old_deliveries().await {
            tracing::error!(%error, "old messages to webhooks cannot be forgotten");
        }
        rest(PURGE_EVERY, &stop).await;
    }
}

/// Waits, or until it is time to stop.
async fn rest(time: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = sleep(time) => {}
        () = stop.cancelled() => {}
    }
}
