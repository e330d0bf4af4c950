//! How much a plugin may take: finite by default, settable up to the operator's ceiling.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Limits of one plugin in one job. Every one is finite.
///
/// | limit | default | ceiling |
/// |---|---|---|
/// | `memory_bytes` | 64 MiB | 256 MiB |
/// | `table_elements` | 10,000 | 10,000 |
/// | `call_deadline` | 1 s | 10 s |
/// | `job_cpu` | 10 min | 2 h |
/// | `output_bytes_per_call` | 64 MiB | 256 MiB |
/// | `expansion_ratio` | 64 | 4,096 |
/// | `rejects_per_batch` | 4,096 | 65,536 |
/// | `message_bytes` | 1 KiB | 4 KiB |
/// | `log_line_bytes` | 1 KiB | 8 KiB |
/// | `log_call_bytes` | 64 KiB | 1 MiB |
/// | `log_job_bytes` | 1 MiB | 16 MiB |
/// | `traps_to_quarantine` | 3 | 100 |
///
/// Instances, core instances, memories and tables are those of the pool, the same for all:
/// `MAX_GUESTS` and its neighbors in `engine.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PluginLimits {
    /// Linear memory of all the guest's memories together.
    pub memory_bytes: usize,
    /// Elements of each table.
    pub table_elements: usize,
    /// Wall-clock time of one call, to the precision of an epoch tick (10 ms).
    pub call_deadline: Duration,
    /// CPU time of all calls of a job together.
    pub job_cpu: Duration,
    /// What the host allocates for the results of one call (wasmtime's hostcall fuel).
    pub output_bytes_per_call: usize,
    /// How many times what it was given a plugin may put out in a job, beyond a free
    /// [`EXPANSION_FLOOR_BYTES`].
    pub expansion_ratio: u64,
    /// Rejects of one batch that are kept; the rest are counted.
    pub rejects_per_batch: usize,
    /// Longest text that a guest may hand over in a reject, a fault or a name.
    pub message_bytes: usize,
    /// Longest log line; what is longer is cut.
    pub log_line_bytes: usize,
    /// Log lines of one call, 64 bytes for each besides its text; what goes beyond is counted and
    /// dropped.
    pub log_call_bytes: usize,
    /// Log lines of one job.
    pub log_job_bytes: usize,
    /// Jobs that a version may fail by a trap or a broken contract until it is quarantined.
    pub traps_to_quarantine: u32,
}

/// Output that a job's plugin may make whatever it was given: files have headers, and a few rows
/// may well become many bytes.
pub const EXPANSION_FLOOR_BYTES: u64 = 16 << 20;

impl Default for PluginLimits {
    fn default() -> Self {
        Self {
            memory_bytes: 64 << 20,
            table_elements: 10_000,
            call_deadline: Duration::from_secs(1),
            job_cpu: Duration::from_secs(600),
            output_bytes_per_call: 64 << 20,
            expansion_ratio: 64,
            rejects_per_batch: 4_096,
            message_bytes: 1 << 10,
            log_line_bytes: 1 << 10,
            log_call_bytes: 64 << 10,
            log_job_bytes: 1 << 20,
            traps_to_quarantine: 3,
        }
    }
}

impl PluginLimits {
    /// What an operator allows who has not said otherwise. The pool cannot hold more memory or
    /// longer tables than this.
    pub const CEILING: Self = Self {
        memory_bytes: 256 << 20,
        table_elements: 10_000,
        call_deadline: Duration::from_secs(10),
        job_cpu: Duration::from_secs(7_200),
        output_bytes_per_call: 256 << 20,
        expansion_ratio: 4_096,
        rejects_per_batch: 65_536,
        message_bytes: 4 << 10,
        log_line_bytes: 8 << 10,
        log_call_bytes: 1 << 20,
        log_job_bytes: 16 << 20,
        traps_to_quarantine: 100,
    };

    /// These limits with some replaced.
    ///
    /// # Errors
    /// One is 0 or above the ceiling.
    pub fn with(mut self, set: &LimitSettings, ceiling: &Self) -> Result<Self, LimitError> {
        fn replace<T: Copy + PartialOrd + Default + std::fmt::Debug>(
            limit: &mut T,
            set: Option<T>,
            ceiling: T,
            name: &'static str,
        ) -> Result<(), LimitError> {
            let Some(value) = set else { return Ok(()) };
            if value <= T::default() {
                return Err(LimitError::Zero(name));
            }
            if value > ceiling {
                let ceiling = format!("{ceiling:?}");
                return Err(LimitError::Ceiling { name, ceiling });
            }
            *limit = value;
            Ok(())
        }
        let ms = |ms: Option<u64>| ms.map(Duration::from_millis);
        replace(
            &mut self.memory_bytes,
            set.memory_bytes,
            ceiling.memory_bytes,
            "memory_bytes",
        )?;
        replace(
            &mut self.call_deadline,
            ms(set.call_deadline_ms),
            ceiling.call_deadline,
            "call_deadline_ms",
        )?;
        replace(
            &mut self.job_cpu,
            ms(set.job_cpu_ms),
            ceiling.job_cpu,
            "job_cpu_ms",
        )?;
        let output = (set.output_bytes_per_call, ceiling.output_bytes_per_call);
        replace(
            &mut self.output_bytes_per_call,
            output.0,
            output.1,
            "output_bytes_per_call",
        )?;
        replace(
            &mut self.expansion_ratio,
            set.expansion_ratio,
            ceiling.expansion_ratio,
            "expansion_ratio",
        )?;
        let rejects = (set.rejects_per_batch, ceiling.rejects_per_batch);
        replace(
            &mut self.rejects_per_batch,
            rejects.0,
            rejects.1,
            "rejects_per_batch",
        )?;
        replace(
            &mut self.log_line_bytes,
            set.log_line_bytes,
            ceiling.log_line_bytes,
            "log_line_bytes",
        )?;
        replace(
            &mut self.log_call_bytes,
            set.log_call_bytes,
            ceiling.log_call_bytes,
            "log_call_bytes",
        )?;
        replace(
            &mut self.log_job_bytes,
            set.log_job_bytes,
            ceiling.log_job_bytes,
            "log_job_bytes",
        )?;
        let traps = (set.traps_to_quarantine, ceiling.traps_to_quarantine);
        replace(
            &mut self.traps_to_quarantine,
            traps.0,
            traps.1,
            "traps_to_quarantine",
        )?;
        Ok(self)
    }

    /// These limits, none of them above the ceiling's.
    #[must_use]
    pub fn within(self, ceiling: &Self) -> Self {
        Self {
            memory_bytes: self.memory_bytes.min(ceiling.memory_bytes),
            table_elements: self.table_elements.min(ceiling.table_elements),
            call_deadline: self.call_deadline.min(ceiling.call_deadline),
            job_cpu: self.job_cpu.min(ceiling.job_cpu),
            output_bytes_per_call: self.output_bytes_per_call.min(ceiling.output_bytes_per_call),
            expansion_ratio: self.expansion_ratio.min(ceiling.expansion_ratio),
            rejects_per_batch: self.rejects_per_batch.min(ceiling.rejects_per_batch),
            message_bytes: self.message_bytes.min(ceiling.message_bytes),
            log_line_bytes: self.log_line_bytes.min(ceiling.log_line_bytes),
            log_call_bytes: self.log_call_bytes.min(ceiling.log_call_bytes),
            log_job_bytes: self.log_job_bytes.min(ceiling.log_job_bytes),
            traps_to_quarantine: self.traps_to_quarantine.min(ceiling.traps_to_quarantine),
        }
    }

    /// All that can be set, as people see it.
    pub fn settings(&self) -> LimitSettings {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).ok();
        LimitSettings {
            memory_bytes: Some(self.memory_bytes),
            call_deadline_ms: ms(self.call_deadline),
            job_cpu_ms: ms(self.job_cpu),
            output_bytes_per_call: Some(self.output_bytes_per_call),
            expansion_ratio: Some(self.expansion_ratio),
            rejects_per_batch: Some(self.rejects_per_batch),
            log_line_bytes: Some(self.log_line_bytes),
            log_call_bytes: Some(self.log_call_bytes),
            log_job_bytes: Some(self.log_job_bytes),
            traps_to_quarantine: Some(self.traps_to_quarantine),
        }
    }
}

/// Limits that somebody sets, as JSON; the rest stay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are those of PluginLimits")]
pub struct LimitSettings {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_deadline_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_cpu_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_bytes_per_call: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expansion_ratio: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejects_per_batch: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_line_bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_call_bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_job_bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traps_to_quarantine: Option<u32>,
}

/// A limit cannot be set like this.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum LimitError {
    /// Nothing works with nothing.
    #[error("the limit {0} must be more than 0")]
    Zero(&'static str),
    /// The operator allows less.
    #[error("the limit {name} may be at most {ceiling}")]
    Ceiling {
        /// Which.
        name: &'static str,
        /// The operator's ceiling.
        ceiling: String,
    },
}

impl LimitError {
    /// The limit that is wrong.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Zero(name) | Self::Ceiling { name, .. } => name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_above_the_ceiling_or_of_nothing_is_refused() {
        let set = |json: &str| {
            let settings = serde_json::from_str(json).unwrap();
            PluginLimits::default().with(&settings, &PluginLimits::CEILING)
        };
        assert_eq!(
            set(r#"{"memory_bytes": 134217728}"#).unwrap().memory_bytes,
            128 << 20
        );
        assert_eq!(set(r#"{"memory_bytes": 0}"#).unwrap_err().name(), "memory_bytes");
        assert_eq!(
            set(r#"{"call_deadline_ms": 10001}"#).unwrap_err().name(),
            "call_deadline_ms"
        );
    }

    #[test]
    fn the_defaults_keep_the_ceiling_and_every_limit_can_be_said() {
        let defaults = PluginLimits::default();
        assert_eq!(
            defaults.with(&defaults.settings(), &PluginLimits::CEILING),
            Ok(defaults)
        );
    }
}
