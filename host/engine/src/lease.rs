//! Holding a job: the lease is renewed for as long as there is no reason to stop working on it.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder, Retryable as _};
use exeat_directory::DirectoryError;
use exeat_directory::jobs::{Heartbeat, Job};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::time::{Instant, sleep, timeout};

use crate::engine::Engine;
use crate::error::ExportFailure;
use crate::progress::ProgressWatch;

/// How often a lease is renewed and progress written down. A cancellation is heard as soon.
const RENEW_EVERY: Duration = Duration::from_millis(500);

/// The shortest and the longest time before a job is tried again after a passing fault.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

impl Engine {
    /// Renews the lease until the work must stop; says why. The time of the lease is counted by
    /// this process's own steady clock, so that no clock that is set can lengthen it.
    pub(crate) async fn hold(&self, job: &Job, progress: &ProgressWatch) -> ExportFailure {
        let lease = self.settings.jobs.lease;
        let mut renewed = Instant::now();
        loop {
            sleep(RENEW_EVERY.min(lease / 4)).await;
            let left = lease.saturating_sub(renewed.elapsed());
            let asked = Instant::now();
            let heartbeat = self.directory.renew_lease(job, lease, progress.counts());
            match timeout(left, heartbeat).await {
                Ok(Ok(Heartbeat::Ours)) => renewed = asked,
                Ok(Ok(Heartbeat::Cancelled)) => return ExportFailure::Cancelled,
                Ok(Ok(Heartbeat::Lost)) => return ExportFailure::Superseded,
                Ok(Err(error)) => {
                    tracing::warn!(job = job.job_id, %error, "the lease on a job could not be renewed");
                }
                Err(_) => return ExportFailure::LeaseLost,
            }
        }
    }

    /// Asks the directory again for as long as a lease is, if it cannot be reached.
    pub(crate) fn patiently<'a, T: Send + 'a>(
        &self,
        ask: impl FnMut() -> BoxFuture<'a, Result<T, DirectoryError>> + Send + 'a,
    ) -> BoxFuture<'a, Result<T, DirectoryError>> {
        let again = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(100))
            .with_max_delay(Duration::from_secs(2))
            .without_max_times()
            .with_total_delay(Some(self.settings.jobs.lease))
            .with_jitter();
        async move { ask.retry(again).when(DirectoryError::is_transient).await }.boxed()
    }
}

/// How long a job waits after so many attempts that ended badly: longer each time, and never the
/// same for two jobs that failed together.
pub(crate) fn backoff(failures: i64) -> Duration {
    let (shortest, longest) = BACKOFF;
    let mut delays = ExponentialBuilder::default()
        .with_min_delay(shortest)
        .with_max_delay(longest)
        .without_max_times()
        .with_jitter()
        .build();
    let tried = usize::try_from(failures).unwrap_or_default();
    delays.nth(tried.min(16)).unwrap_or(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_waits_longer_each_time_but_not_for_ever() {
        for failures in 0..40 {
            let delay = backoff(failures);
            assert!(delay >= BACKOFF.0, "{delay:?}");
            assert!(delay <= BACKOFF.1 * 2, "{delay:?}");
        }
        assert!(backoff(5) > backoff(0));
    }
}
