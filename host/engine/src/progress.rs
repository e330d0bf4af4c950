//! How far an export is: counted by the stages, read by whoever wants to know.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use exeat_directory::jobs::Progress;

/// Counters of a running export. Clones share them.
#[derive(Clone, Debug)]
pub struct ProgressWatch {
    counters: Arc<Counters>,
    begun: Instant,
}

#[derive(Debug, Default)]
struct Counters {
    rows_total: AtomicU64,
    rows_done: AtomicU64,
    bytes: AtomicU64,
}

/// How far an export is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProgressReport {
    /// Rows of the snapshot; 0 until they are counted.
    pub rows_total: u64,
    /// Rows encoded, dropped or rejected.
    pub rows_done: u64,
    /// Bytes written.
    pub bytes: u64,
    /// 0 to 100.
    pub percentage: f64,
    /// What is left at the speed so far; nothing until there is a speed.
    pub time_left: Option<Duration>,
}

impl Default for ProgressWatch {
    fn default() -> Self {
        Self {
            counters: Arc::default(),
            begun: Instant::now(),
        }
    }
}

impl ProgressWatch {
    pub(crate) fn set_total(&self, rows: u64) {
        self.counters.rows_total.store(rows, Ordering::Relaxed);
    }

    pub(crate) fn add_rows(&self, rows: u64) {
        self.counters.rows_done.fetch_add(rows, Ordering::Relaxed);
    }

    pub(crate) fn add_bytes(&self, bytes: u64) {
        self.counters.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn counts(&self) -> Progress {
        Progress {
            rows_total: self.counters.rows_total.load(Ordering::Relaxed),
            rows_done: self.counters.rows_done.load(Ordering::Relaxed),
            bytes: self.counters.bytes.load(Ordering::Relaxed),
        }
    }

    /// How far the export is now.
    pub fn report(&self) -> ProgressReport {
        ProgressReport::new(self.counts(), self.begun.elapsed())
    }
}

impl ProgressReport {
    /// What counts and the time so far tell.
    pub fn new(counts: Progress, elapsed: Duration) -> Self {
        let Progress {
            rows_total,
            rows_done,
            bytes,
        } = counts;
        let percentage = if rows_total == 0 {
            0.0
        } else {
            100.0 * rows_done as f64 / rows_total as f64
        };
        let left = rows_total.saturating_sub(rows_done);
        let time_left = (rows_done > 0).then(|| elapsed.mul_f64(left as f64 / rows_done as f64));
        Self {
            rows_total,
            rows_done,
            bytes,
            percentage,
            time_left,
        }
    }
}
