//! How exports are run, and what can be done about each.

use std::time::Duration;

use clap::{Args, Subcommand};
use exeat_directory::jobs::QueueLimits;
use exeat_engine::JobSettings;
use exeat_engine::webhooks::WebhookTargets;
use jiff::{Span, SpanRelativeTo};

use super::place::HouseArgs;

/// How a process runs exports. All servers and workers of one database should agree.
#[derive(Debug, Args)]
pub(crate) struct JobHouse {
    /// How long exports at hand may go on once the process is told to stop; then they are handed back
    #[arg(long, default_value = "30s", value_name = "TIME", value_parser = duration)]
    pub(crate) grace: Duration,
    /// How long a worker that is not heard of is taken to be alive
    #[arg(long, default_value = "30s", value_name = "TIME", value_parser = lease)]
    lease: Duration,
    /// Attempts that may end badly before an export fails
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    max_failures: u32,
    /// Exports of one tenant that run at once, in all workers together
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    tenant_running: u32,
    /// Exports of one tenant that may wait
    #[arg(long, default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    tenant_queued: u32,
    /// How long an export may take from its first start
    #[arg(long, default_value = "8h", value_name = "TIME", value_parser = duration)]
    timeout: Duration,
    /// How long the files of an export are kept
    #[arg(long, default_value = "7d", value_name = "TIME", value_parser = duration)]
    retention: Duration,
    /// Threads on which the transforms of one export run, if no plugin keeps state [default: half of
    /// the machine's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=JobSettings::MAX_TRANSFORM_THREADS as i64))]
    transform_threads: Option<u8>,
    /// Send webhooks to any address, those inside your network among them, and without TLS: only where
    /// you trust all tenants
    #[arg(long)]
    webhooks_anywhere: bool,
}

impl JobHouse {
    pub(crate) fn webhooks(&self) -> WebhookTargets {
        if self.webhooks_anywhere {
            WebhookTargets::Any
        } else {
            WebhookTargets::Public
        }
    }

    pub(crate) fn settings(&self) -> JobSettings {
        JobSettings {
            lease: self.lease,
            queue: QueueLimits {
                running_per_tenant: self.tenant_running,
                queued_per_tenant: self.tenant_queued,
            },
            max_failures: self.max_failures,
            timeout: self.timeout,
            retention: self.retention,
            transform_threads: self
                .transform_threads
                .map_or_else(JobSettings::transform_threads_here, usize::from),
        }
    }
}

/// A time such as 30s, 8h or 7d; a day has 24 hours.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "a time is written 30s, 10m, 8h or 7d, and is longer than nothing".to_owned();
    let span: Span = text.parse().map_err(|_| wrong())?;
    let signed = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| wrong())?;
    Duration::try_from(signed)
        .ok()
        .filter(|duration| !duration.is_zero())
        .ok_or_else(wrong)
}

/// A lease is renewed every quarter of it, and by clocks that are a little apart.
fn lease(text: &str) -> Result<Duration, String> {
    let lease = duration(text)?;
    if (Duration::from_secs(2)..=JobSettings::MAX_LEASE).contains(&lease) {
        Ok(lease)
    } else {
        Err("a lease is between 2s and 1h".to_owned())
    }
}

const WORK_EXAMPLES: &str = "\
Any number of workers may run beside each other and beside servers; they share a database and a store.
Killed, a worker loses nothing: its exports are run again by others.

Examples:
  exeat serve --workers 0 --database postgres://exeat@db/exeat --store s3://exports
  exeat work  --jobs 4    --database postgres://exeat@db/exeat --store s3://exports";

#[derive(Debug, Args)]
#[command(after_help = WORK_EXAMPLES)]
pub(crate) struct WorkArgs {
    /// Exports that this process runs at once
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) jobs: u8,
    #[command(flatten)]
    pub(crate) house: JobHouse,
}

#[derive(Debug, Subcommand)]
pub(crate) enum JobsCommand {
    /// List a tenant's exports as NDJSON, newest first
    #[command(after_help = "\
Examples:
  exeat jobs list --tenant acme
  EXEAT_TOKEN=exeat_… exeat jobs list --server https://exports.example.com")]
    List {
        #[command(flatten)]
        house: HouseArgs,
        /// How many at most
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Cancel an export that waits or runs
    Cancel(JobArg),
    /// Remove the files of a completed export before their time; its record stays
    Delete(JobArg),
    /// Keep the files of a completed export, whatever their age
    Hold(JobArg),
    /// Lift the order to keep the files of an export
    Release(JobArg),
    /// Remove files whose time is over, and those that no export owns
    #[command(after_help = "\
Workers do this by themselves: the first every minute, the second when they start and every hour.")]
    Sweep,
}

/// One export.
#[derive(Debug, Args)]
pub(crate) struct JobArg {
    #[command(flatten)]
    pub(crate) house: HouseArgs,
    /// The export, as listed
    pub(crate) job_id: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_people_write_them() {
        assert_eq!(duration("90s").unwrap(), Duration::from_secs(90));
        assert_eq!(duration("8h").unwrap(), Duration::from_secs(28_800));
        assert_eq!(duration("7d").unwrap(), Duration::from_secs(604_800));
        for wrong in ["", "soon", "0s", "-1h", "7"] {
            assert!(duration(wrong).is_err(), "{wrong:?}");
        }
        assert!(lease("1s").is_err());
    }
}
