//! How often one caller may ask.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::http::header;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};

use crate::problem::Problem;

/// Callers of whom the limiter may know before it forgets those who have been quiet.
const MAX_KNOWN: usize = 10_000;

/// Counts the requests of each token.
#[derive(Clone, Debug)]
pub(crate) struct RateLimit {
    limiter: Arc<DefaultKeyedRateLimiter<String>>,
    clock: DefaultClock,
}

impl RateLimit {
    /// So many requests a second, and twice as many at once.
    pub(crate) fn per_second(requests: NonZeroU32) -> Self {
        let quota = Quota::per_second(requests).allow_burst(requests.saturating_mul(TWICE));
        Self {
            limiter: Arc::new(DefaultKeyedRateLimiter::keyed(quota)),
            clock: DefaultClock::default(),
        }
    }

    /// Counts a request of this caller.
    pub(crate) fn count(&self, caller: &str) -> Result<(), Problem> {
        if self.limiter.len() > MAX_KNOWN {
            self.limiter.retain_recent();
        }
        let Err(early) = self.limiter.check_key(&caller.to_owned()) else {
            return Ok(());
        };
        let wait = early
            .wait_time_from(self.clock.now())
            .max(Duration::from_millis(1));
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Err(
            Problem::new("rate-limited", "the token asks more often than it may")
                .hint(format!("ask again in {seconds} s"))
                .header(header::RETRY_AFTER, seconds.to_string()),
        )
    }
}

const TWICE: NonZeroU32 = NonZeroU32::new(2).expect("two is not zero");
