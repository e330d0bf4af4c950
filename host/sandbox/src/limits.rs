//! How much a plugin may take: finite by default.

use std::time::Duration;

/// Limits of one plugin in one job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PluginLimits {
    /// Linear memory of all the guest's memories together.
    pub memory_bytes: usize,
    /// Elements of each table.
    pub table_elements: usize,
    /// Wall-clock time of one call, to the precision of an epoch tick (10 ms).
    pub call_deadline: Duration,
    /// What the host allocates for the results of one call.
    pub output_bytes_per_call: usize,
    /// Rejects of one batch that are kept; the rest are counted.
    pub rejects_per_batch: usize,
    /// Longest text that a guest may hand over in a reject, a fault or a name.
    pub message_bytes: usize,
    /// Longest log line; what is longer is cut.
    pub log_line_bytes: usize,
    /// Log lines of one call; what goes beyond is counted and dropped.
    pub log_call_bytes: usize,
    /// Log lines of one job.
    pub log_job_bytes: usize,
}

impl Default for PluginLimits {
    fn default() -> Self {
        Self {
            memory_bytes: 64 << 20,
            table_elements: 10_000,
            call_deadline: Duration::from_secs(1),
            output_bytes_per_call: 64 << 20,
            rejects_per_batch: 4_096,
            message_bytes: 1 << 10,
            log_line_bytes: 1 << 10,
            log_call_bytes: 64 << 10,
            log_job_bytes: 1 << 20,
        }
    }
}
