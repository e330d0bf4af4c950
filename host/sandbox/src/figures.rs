//! What plugins cost and did: counted by their sessions, added up over jobs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plugin::Plugin;
use crate::store::LogLine;

/// Codes that are told apart; a guest chooses its codes, and may choose many.
const MAX_CODES: usize = 64;

/// Under which further codes are counted.
const OTHER_CODES: &str = "(other)";

/// What a plugin cost and did, in one job or in all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Figures {
    /// Instances that were made.
    pub instantiations: u64,
    /// Batches that were processed.
    pub batches: u64,
    /// Batches that were tried again on a fresh instance.
    pub retried_batches: u64,
    /// Rows that the plugin was given.
    pub rows_in: u64,
    /// Rows that it put out.
    pub rows_out: u64,
    /// Rows that it dropped.
    pub rows_dropped: u64,
    /// Rows that it rejected, by code.
    pub rejected: BTreeMap<String, u64>,
    /// Bytes of the columns that it was given.
    pub bytes_in: u64,
    /// Bytes that it put out.
    pub bytes_out: u64,
    /// CPU time of its calls, in nanoseconds.
    pub guest_cpu_ns: u64,
    /// Wall-clock time of its batches with everything around them, in nanoseconds.
    pub batch_ns: u64,
    /// The part of `batch_ns` that was spent inside the guest.
    pub inside_ns: u64,
    /// The part of `batch_ns` in which the output guard looked for what must not leave, and left out
    /// rows.
    pub guard_ns: u64,
    /// Wall-clock time of batches.
    pub batch_times: Times,
    /// Instructions, where they were metered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fuel: Option<u64>,
    /// Most memory that an instance had.
    pub peak_memory_bytes: u64,
    /// How often its code was compiled, and how long that took.
    pub compilations: u64,
    /// Time of compiling, in nanoseconds.
    pub compile_ns: u64,
    /// How often its code came from the cache.
    pub cache_hits: u64,
    /// How often it was stopped or broke the contract, by code.
    pub traps: BTreeMap<String, u64>,
    /// Log lines beyond the limit.
    pub log_lines_dropped: u64,
}

impl Figures {
    /// Adds those of another job.
    pub fn absorb(&mut self, more: &Self) {
        self.instantiations += more.instantiations;
        self.batches += more.batches;
        self.retried_batches += more.retried_batches;
        self.rows_in += more.rows_in;
        self.rows_out += more.rows_out;
        self.rows_dropped += more.rows_dropped;
        more.rejected
            .iter()
            .for_each(|(code, rows)| count(&mut self.rejected, code, *rows));
        self.bytes_in += more.bytes_in;
        self.bytes_out += more.bytes_out;
        self.guest_cpu_ns += more.guest_cpu_ns;
        self.batch_ns += more.batch_ns;
        self.inside_ns += more.inside_ns;
        self.guard_ns += more.guard_ns;
        self.batch_times.absorb(&more.batch_times);
        if let Some(fuel) = more.fuel {
            *self.fuel.get_or_insert(0) += fuel;
        }
        self.peak_memory_bytes = self.peak_memory_bytes.max(more.peak_memory_bytes);
        self.compilations += more.compilations;
        self.compile_ns += more.compile_ns;
        self.cache_hits += more.cache_hits;
        more.traps
            .iter()
            .for_each(|(code, times)| count(&mut self.traps, code, *times));
        self.log_lines_dropped += more.log_lines_dropped;
    }

    /// Nanoseconds of a row, with everything around it; nothing without rows.
    pub fn ns_per_row(&self) -> Option<f64> {
        (self.rows_in > 0).then(|| self.batch_ns as f64 / self.rows_in as f64)
    }

    /// Instructions of a row, where they were metered.
    pub fn fuel_per_row(&self) -> Option<f64> {
        let fuel = self.fuel?;
        (self.rows_in > 0).then(|| fuel as f64 / self.rows_in as f64)
    }

    pub(crate) fn count_rejects(&mut self, code: &str, rows: u64) {
        count(&mut self.rejected, code, rows);
    }

    pub(crate) fn count_trap(&mut self, code: &str) {
        count(&mut self.traps, code, 1);
    }
}

fn count(codes: &mut BTreeMap<String, u64>, code: &str, times: u64) {
    let code = if codes.contains_key(code) || codes.len() < MAX_CODES {
        code
    } else {
        OTHER_CODES
    };
    *codes.entry(code.to_owned()).or_default() += times;
}

/// How long things took, in buckets that each are 19 % wider than the one before, so that times of
/// many jobs can be added and still tell their percentiles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Times(BTreeMap<u16, u64>);

/// Buckets for each doubling.
const BUCKETS_PER_DOUBLING: f64 = 4.0;

impl Times {
    /// Notes one.
    pub fn note(&mut self, time: Duration) {
        let microseconds = (time.as_nanos() as f64 / 1_000.0).max(1.0);
        let bucket = (microseconds.log2() * BUCKETS_PER_DOUBLING).ceil() as u16;
        *self.0.entry(bucket).or_default() += 1;
    }

    fn absorb(&mut self, more: &Self) {
        for (bucket, times) in &more.0 {
            *self.0.entry(*bucket).or_default() += times;
        }
    }

    /// The time that this share (0 to 1) stayed within, at most 19 % too long; nothing if there is none.
    pub fn percentile(&self, share: f64) -> Option<Duration> {
        let all: u64 = self.0.values().sum();
        let wanted = (all as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (bucket, times) in &self.0 {
            seen += times;
            if seen >= wanted {
                let microseconds = (f64::from(*bucket) / BUCKETS_PER_DOUBLING).exp2();
                return Some(Duration::from_nanos((microseconds * 1_000.0) as u64));
            }
        }
        None
    }
}

/// What is known of one plugin's work on one job.
#[derive(Debug)]
pub struct Record {
    /// The plugin; nothing for a guest that has not become one.
    pub plugin: Option<Plugin>,
    /// What it cost.
    pub figures: Figures,
    /// What it logged.
    pub log: Vec<LogLine>,
}

/// Where a session notes what its plugin does. Lives on when the session has died.
#[derive(Clone, Debug)]
pub struct Recorder {
    plugin: Option<Plugin>,
    noted: Arc<Mutex<(Figures, Vec<LogLine>)>>,
}

impl Recorder {
    pub(crate) fn new(plugin: &Plugin) -> Self {
        Self {
            plugin: Some(plugin.clone()),
            noted: Arc::default(),
        }
    }

    /// For a guest that is no plugin yet.
    pub(crate) fn nobody() -> Self {
        Self {
            plugin: None,
            noted: Arc::default(),
        }
    }

    /// What was noted since the last call.
    pub fn take(&self) -> Record {
        let (figures, log) = std::mem::take(&mut *self.noted.lock().unwrap_or_else(PoisonError::into_inner));
        Record {
            plugin: self.plugin.clone(),
            figures,
            log,
        }
    }

    pub(crate) fn note(&self, note: impl FnOnce(&mut Figures)) {
        note(&mut self.noted.lock().unwrap_or_else(PoisonError::into_inner).0);
    }

    pub(crate) fn log(&self, lines: Vec<LogLine>) {
        if !lines.is_empty() {
            self.noted
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .1
                .extend(lines);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_within_a_fifth() {
        let mut times = Times::default();
        (1..=1_000).for_each(|ms| times.note(Duration::from_millis(ms)));
        for (share, ms) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1_000.0)] {
            let found = times.percentile(share).unwrap().as_secs_f64() * 1_000.0;
            assert!((ms..=ms * 1.19).contains(&found), "{share}: {found}");
        }
        assert_eq!(Times::default().percentile(0.5), None);
    }

    #[test]
    fn a_guest_cannot_flood_the_figures_with_codes() {
        let mut figures = Figures::default();
        (0..1_000).for_each(|code| figures.count_rejects(&format!("code_{code}"), 1));
        assert_eq!(figures.rejected.len(), MAX_CODES + 1);
        assert_eq!(figures.rejected.values().sum::<u64>(), 1_000);
    }
}
