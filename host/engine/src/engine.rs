//! The engine: built once, passed down.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use exeat_directory::audit::{AuditRecord, BULK_EXPORT_REFUSED};
use exeat_directory::jobs::{IdempotencyKey, Job, NewJob, Queued, new_job_id};
use exeat_directory::{Directory, SourceError, Tenant, now_us};
use exeat_sandbox::compiler::Compiler;
use exeat_sandbox::{CodeCache, PluginLimits, Sandbox, SandboxSetup};
use exeat_vault::{ComponentStore, Vault};
use sha2::{Digest as _, Sha256};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::error::{EngineError, ExportFailure, RequestError};
use crate::plugin_work::PluginWork;
use crate::registry::{PluginRegistry, PluginSummary};
use crate::request::ExportRequest;
use crate::requester::{FieldRights, Requester};
use crate::settings::EngineSettings;
use crate::spec::{ExportSpec, ResolvedPlugins, job_context};
use crate::steps::{StepObserver, Unobserved};
use crate::stream::MAX_STREAMS;
use crate::uploads::Uploads;
use crate::worker_id::WorkerId;

/// What stands where a job's id would while a request is checked.
const CHECK_JOB: &str = "exp_check";

/// Checks and dry runs at once. With chains of nine plugins they leave half of the sandbox's places.
const MAX_OPENINGS: usize = 3;

/// Folder of the vault, in the data folder.
const VAULT: &str = "vault";

/// Folder of compiled plugins, in the data folder: a cache.
const CODE: &str = "code";

/// Folder of the components that were uploaded, in the data folder.
const PLUGINS: &str = "plugins";

/// File of the operator's ceiling for plugins' limits, in the data folder. It need not be there.
const CEILING: &str = "plugin-ceiling.json";

/// File of the key under which compiled code is trusted.
const HOST_KEY: &str = "host.key";

/// An export that waits, or was requested before.
#[derive(Debug)]
pub struct Queuing {
    /// The export.
    pub job: Job,
    /// Whether it was requested before, under the same key.
    pub repeated: bool,
}

/// Directory, sandbox and vault, and what they do together.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(crate) directory: Directory,
    pub(crate) plugins: Arc<PluginRegistry>,
    pub(crate) uploads: Arc<Uploads>,
    pub(crate) vault: Vault,
    pub(crate) queued: Arc<Notify>,
    /// Plugins that are opened for a check or a dry run: they come from requests without end, and
    /// must leave places to jobs and threads to everybody.
    pub(crate) openings: Arc<Semaphore>,
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) settings: Arc<EngineSettings>,
    /// This process, as the one that runs jobs.
    pub(crate) worker: Arc<WorkerId>,
    pub(crate) observer: Arc<dyn StepObserver>,
    /// Cancelled when the process ends: streams end then, too.
    pub(crate) closing: CancellationToken,
}

impl Engine {
    /// Opens the database, the store and the sandbox.
    ///
    /// # Errors
    /// The data folder, the database, the store or the WebAssembly engine cannot be used.
    pub async fn open(settings: EngineSettings) -> Result<Self, EngineError> {
        let data = settings.data.as_path();
        let sandbox = Sandbox::new(setup(data)?)?;
        let mut directory = Directory::open(&settings.database).await?;
        if let Some(source) = &settings.source {
            let definition = source.definition.clone();
            directory = directory.reading_from(&source.url, definition).await?;
        }
        let (vault, components) = match &settings.store {
            Some(store) => (Vault::open(store)?, ComponentStore::open(store)?),
            None => (
                Vault::local(&data.join(VAULT))?,
                ComponentStore::local(&data.join(PLUGINS))?,
            ),
        };
        let ceiling = ceiling(&data.join(CEILING))?;
        let plugins = PluginRegistry::new(sandbox, directory.clone(), components, ceiling);
        Ok(Self {
            directory,
            plugins: Arc::new(plugins),
            uploads: Arc::default(),
            vault,
            queued: Arc::default(),
            openings: Arc::new(Semaphore::new(MAX_OPENINGS)),
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            worker: Arc::new(WorkerId::take(data)?),
            settings: Arc::new(settings),
            observer: Arc::new(Unobserved),
            closing: CancellationToken::new(),
        })
    }

    /// The same engine, with somebody who is told of each step of its exports.
    #[must_use]
    pub fn observed(self, observer: Arc<dyn StepObserver>) -> Self {
        Self { observer, ..self }
    }

    /// Ends what would not end by itself: streams are cut off, in a way that their readers can see.
    pub fn close_streams(&self) {
        self.closing.cancel();
    }

    /// Cancelled when everything that would not end by itself has to.
    pub fn closing(&self) -> &CancellationToken {
        &self.closing
    }

    /// What the operator decided.
    pub fn settings(&self) -> &EngineSettings {
        &self.settings
    }

    /// The directory.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The vault.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Every plugin that ships.
    ///
    /// # Errors
    /// A shipped plugin cannot be loaded.
    pub async fn plugins(&self) -> Result<Vec<PluginSummary>, EngineError> {
        let plugins = Arc::clone(&self.plugins);
        blocking(move || plugins.list_shipped()).await
    }

    /// Checks a request to the end: fields, filter, plugins, and what the plugins say to it. A
    /// refusal is audited.
    ///
    /// # Errors
    /// The request is wrong, or a plugin fails while it opens.
    pub async fn check(
        &self,
        requester: &Requester,
        request: &ExportRequest,
    ) -> Result<ExportSpec, EngineError> {
        let Requester {
            tenant,
            actor,
            rights,
        } = requester;
        let checked = match self.spec(tenant, *rights, request).await {
            Ok(spec) => self.open_once(tenant, actor, &spec).await.map(|()| spec),
            Err(error) => Err(error),
        };
        if let Err(EngineError::Request(error)) = &checked {
            let detail = serde_json::json!({
                "code": error.code, "pointer": error.pointer, "fields": request.fields, "filter": request.filter,
            });
            let record = AuditRecord {
                actor: actor.clone(),
                action: BULK_EXPORT_REFUSED,
                job_id: None,
                detail,
            };
            self.directory.record(tenant, &record).await?;
        }
        checked
    }

    /// Opens the plugins of a request on no rows, so that they can say no. One that breaks down over
    /// it counts as if it had in a job.
    async fn open_once(&self, tenant: &Tenant, actor: &str, spec: &ExportSpec) -> Result<(), EngineError> {
        let (to_open, job) = (spec.clone(), job_context(tenant, CHECK_JOB, now_us()));
        let sandbox = self.plugins.sandbox.clone();
        let _turn = self.openings.acquire().await;
        let opened = blocking(move || Ok(to_open.open(&sandbox, &job, 1).map(drop)?)).await;
        if let Err(EngineError::Export(failure)) = &opened {
            let work = PluginWork::unopened(spec);
            work.note(&self.directory, tenant, CHECK_JOB, actor, Some(failure))
                .await;
        }
        opened
    }

    /// A checked request, all but what plugins have to say.
    pub(crate) async fn spec(
        &self,
        tenant: &Tenant,
        rights: FieldRights,
        request: &ExportRequest,
    ) -> Result<ExportSpec, EngineError> {
        let plugins = ResolvedPlugins::find(&self.plugins, tenant, request).await?;
        let spec = ExportSpec::check(request, plugins, &self.directory, rights)?;
        self.directory
            .accept(tenant, &spec.filter)
            .map_err(source_error)?;
        Ok(spec)
    }

    /// Requests an export: checks it to the end, and queues it for the server's workers. A request
    /// that was made before under the same key is the export that it was then, whatever has become
    /// of its plugins since.
    ///
    /// # Errors
    /// The request is wrong, too many wait, or the key stands for another request.
    pub async fn request(
        &self,
        requester: &Requester,
        request: &ExportRequest,
        idempotency_key: Option<String>,
    ) -> Result<Queuing, EngineError> {
        let idempotency = idempotency_key.map(|key| IdempotencyKey {
            key,
            fingerprint: Sha256::digest(serde_json::to_vec(request).unwrap_or_default()).to_vec(),
        });
        if let Some(asked) = &idempotency
            && let Some(queued) = self.directory.repeated_job(&requester.tenant, asked).await?
        {
            return self.queued_as(queued);
        }
        let spec = self.check(requester, request).await?;
        let new = NewJob {
            job_id: new_job_id(),
            actor: requester.actor.clone(),
            // The plugins that it will use are those that were checked, whatever is uploaded or shipped
            // until then.
            request: serde_json::to_string(&spec.pinned(request)).unwrap_or_default(),
            priority: request.priority.into(),
            timeout: self.timeout(request)?,
            retention: self.retention(request)?,
            sensitive: requester.rights == FieldRights::Sensitive,
            idempotency,
        };
        let queued = self
            .directory
            .queue_job(&requester.tenant, &new, self.settings.jobs.queue)
            .await?;
        self.queued_as(queued)
    }

    fn queued_as(&self, queued: Queued) -> Result<Queuing, EngineError> {
        let refused = match queued {
            Queued::Waiting(job) => {
                self.queued.notify_one();
                return Ok(Queuing {
                    job: *job,
                    repeated: false,
                });
            }
            Queued::Repeated(job) => {
                return Ok(Queuing {
                    job: *job,
                    repeated: true,
                });
            }
            Queued::RepeatedAndDeleted => {
                let detail = "the export that was requested under this key was deleted";
                RequestError::new("idempotency-key-used", "", detail)
            }
            Queued::OtherRequest => {
                let detail = "another export was requested under this key";
                RequestError::new("idempotency-key-used", "", detail).hint("choose a key for each request")
            }
            Queued::TooMany => {
                let detail = format!(
                    "{} exports of this tenant are waiting, which is the most",
                    self.settings.jobs.queue.queued_per_tenant
                );
                RequestError::new("too-many-exports", "", detail).hint("try again when some of them are done")
            }
        };
        Err(refused.into())
    }

    /// The same request, for no longer than the operator allows: for callers who cannot ask for less.
    #[must_use]
    pub fn within_limits(&self, request: ExportRequest) -> ExportRequest {
        let within = |asked: Option<u64>, most: Duration| asked.map(|asked| asked.min(most.as_secs()));
        let jobs = &self.settings.jobs;
        ExportRequest {
            timeout_seconds: within(request.timeout_seconds, jobs.timeout),
            retention_seconds: within(request.retention_seconds, jobs.retention),
            ..request
        }
    }

    /// How long an export may take.
    pub(crate) fn timeout(&self, request: &ExportRequest) -> Result<Duration, RequestError> {
        bounded(
            request.timeout_seconds,
            self.settings.jobs.timeout,
            "/timeout_seconds",
        )
    }

    /// How long its files are kept.
    pub(crate) fn retention(&self, request: &ExportRequest) -> Result<Duration, RequestError> {
        bounded(
            request.retention_seconds,
            self.settings.jobs.retention,
            "/retention_seconds",
        )
    }
}

/// A source that cannot give what was asked for.
fn source_error(error: SourceError) -> EngineError {
    let detail = error.to_string();
    match error {
        SourceError::Unfilterable { key, .. } => {
            RequestError::new("invalid-filter", format!("/filter/{key}"), detail).into()
        }
        SourceError::OtherTenant { .. } => RequestError::new("wrong-tenant", "", detail)
            .hint("the source definition says whose users it holds: single_tenant")
            .into(),
        other => ExportFailure::from(other).into(),
    }
}

/// What was asked for, up to the operator's most, which is also the default.
fn bounded(asked: Option<u64>, most: Duration, pointer: &str) -> Result<Duration, RequestError> {
    match asked.map(Duration::from_secs) {
        None => Ok(most),
        Some(asked) if !asked.is_zero() && asked <= most => Ok(asked),
        Some(_) => {
            let detail = format!("this is between 1 and {} seconds", most.as_secs());
            Err(RequestError::new("invalid-duration", pointer, detail))
        }
    }
}

/// The sandbox of a data folder: code is compiled by processes of this program and kept beside
/// the database.
fn setup(data: &Path) -> Result<SandboxSetup, EngineError> {
    let code = data.join(CODE);
    let file = |path: &Path| {
        let path = path.to_owned();
        move |source| EngineError::File { path, source }
    };
    std::fs::create_dir_all(data).map_err(file(data))?;
    Ok(SandboxSetup {
        compiler: Compiler::this_program(),
        cache: Some(CodeCache::open(&code, &data.join(HOST_KEY)).map_err(file(&code))?),
        metered: false,
    })
}

/// The operator's ceiling: what the file says, and the built-in one for the rest.
fn ceiling(file: &Path) -> Result<PluginLimits, EngineError> {
    let cannot = |source| EngineError::File {
        path: file.to_owned(),
        source,
    };
    let json = match std::fs::read_to_string(file) {
        Ok(json) => json,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(PluginLimits::CEILING),
        Err(error) => return Err(cannot(error)),
    };
    let settings = serde_json::from_str(&json).map_err(|error| cannot(std::io::Error::other(error)))?;
    let ceiling = PluginLimits::CEILING.with(&settings, &PluginLimits::CEILING);
    ceiling.map_err(|error| cannot(std::io::Error::other(error)))
}

/// Runs something that blocks away from the runtime's threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
) -> Result<T, EngineError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(exeat_directory::DirectoryError::from)?
}
