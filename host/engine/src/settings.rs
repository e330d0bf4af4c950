//! What the operator decides: where things lie, and how much of everything.

use std::path::{Path, PathBuf};
use std::time::Duration;

use exeat_directory::jobs::QueueLimits;
use exeat_directory::postgres::SourceDefinition;
use exeat_directory::{DatabaseUrl, Directory};
use exeat_vault::StoreUrl;

use crate::webhooks::WebhookTargets;

/// Where things lie, and how jobs are run.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// Folder of what belongs to this machine: compiled code, keys, locks, and whatever has no
    /// other place.
    pub data: PathBuf,
    /// Users, jobs, tokens, plugins, audit.
    pub database: DatabaseUrl,
    /// Files of exports, and components; the data folder where there is none.
    pub store: Option<StoreUrl>,
    /// A platform's own database, if users are read from there.
    pub source: Option<SourceSettings>,
    /// How jobs are run.
    pub jobs: JobSettings,
    /// Where webhooks may be.
    pub webhooks: WebhookTargets,
}

/// A platform's own database of users.
#[derive(Clone)]
pub struct SourceSettings {
    /// What is where in it.
    pub definition: SourceDefinition,
    /// A PostgreSQL URL.
    pub url: String,
}

/// Shows no password.
impl std::fmt::Debug for SourceSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SourceSettings({})", self.definition.name())
    }
}

impl EngineSettings {
    /// Everything in one folder.
    pub fn local(data: &Path) -> Self {
        Self {
            data: data.to_owned(),
            database: Directory::in_folder(data),
            store: None,
            source: None,
            jobs: JobSettings::default(),
            webhooks: WebhookTargets::default(),
        }
    }
}

/// How jobs are run. Every figure is finite.
#[derive(Clone, Copy, Debug)]
pub struct JobSettings {
    /// For how long a worker that is not heard of is taken to be alive.
    pub lease: Duration,
    /// How many jobs a tenant may have.
    pub queue: QueueLimits,
    /// Attempts that may end badly, by the death of a worker or a passing fault, before the job fails.
    pub max_failures: u32,
    /// How long a job may take from its first start, and how long at most.
    pub timeout: Duration,
    /// For how long the files of an export are kept, and how long at most.
    pub retention: Duration,
    /// Threads on which the transforms of one export run, if no plugin keeps state. At least one.
    pub transform_threads: usize,
}

impl JobSettings {
    /// No process may hold a job for longer without a word. Processes of one database may differ in
    /// their leases, within this.
    pub const MAX_LEASE: Duration = Duration::from_secs(3_600);

    /// More than these find nothing to do: reading is slower.
    pub const MAX_TRANSFORM_THREADS: usize = 8;

    /// Half of the machine's threads: reading and writing take the others.
    pub fn transform_threads_here() -> usize {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        (threads / 2).clamp(1, Self::MAX_TRANSFORM_THREADS)
    }
}

impl Default for JobSettings {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(30),
            queue: QueueLimits::default(),
            max_failures: 5,
            timeout: Duration::from_secs(8 * 3_600),
            retention: Duration::from_secs(7 * 86_400),
            transform_threads: Self::transform_threads_here(),
        }
    }
}
