//! The engine: built once, passed down.

use std::path::Path;
use std::sync::Arc;

use exeat_directory::audit::{AuditRecord, BULK_EXPORT_REFUSED};
use exeat_directory::jobs::{Job, JobOrigin, new_job_id};
use exeat_directory::{Directory, Tenant, now_us};
use exeat_sandbox::Sandbox;
use exeat_vault::Vault;
use tokio::sync::{Notify, Semaphore};

use crate::catalog::{PluginCatalog, PluginSummary};
use crate::error::EngineError;
use crate::request::ExportRequest;
use crate::spec::{ExportSpec, job_context};
use crate::stream::MAX_STREAMS;

/// Folder of the vault, in the data folder.
const VAULT: &str = "vault";

/// Directory, sandbox and vault, and what they do together.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(crate) directory: Directory,
    pub(crate) plugins: Arc<PluginCatalog>,
    pub(crate) vault: Vault,
    pub(crate) queued: Arc<Notify>,
    pub(crate) streams: Arc<Semaphore>,
}

impl Engine {
    /// Opens everything that lies in a data folder.
    ///
    /// # Errors
    /// The folder, the database or the WebAssembly engine cannot be used.
    pub async fn open(data: &Path) -> Result<Self, EngineError> {
        Ok(Self {
            directory: Directory::open(data).await?,
            plugins: Arc::new(PluginCatalog::new(Sandbox::new()?)),
            vault: Vault::local(&data.join(VAULT))?,
            queued: Arc::default(),
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
        })
    }

    /// The directory.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The vault.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Every plugin that jobs can use.
    ///
    /// # Errors
    /// A shipped plugin cannot be loaded.
    pub async fn plugins(&self) -> Result<Vec<PluginSummary>, EngineError> {
        let plugins = Arc::clone(&self.plugins);
        blocking(move || plugins.list()).await
    }

    /// Checks a request to the end: fields, filter, plugins, and what the plugins say to it. A
    /// refusal is audited.
    ///
    /// # Errors
    /// The request is wrong, or a plugin fails while it opens.
    pub async fn check(
        &self,
        tenant: &Tenant,
        actor: &str,
        request: &ExportRequest,
    ) -> Result<ExportSpec, EngineError> {
        let plugins = Arc::clone(&self.plugins);
        let (request_to_check, job) = (request.clone(), job_context(tenant, "exp_check", now_us()));
        let checked = blocking(move || {
            let spec = ExportSpec::check(&request_to_check, &plugins)?;
            spec.open(&plugins, &job)?;
            Ok(spec)
        });
        let checked = checked.await;
        if let Err(EngineError::Request(error)) = &checked {
            let detail = serde_json::json!({
                "code": error.code, "pointer": error.pointer, "fields": request.fields, "filter": request.filter,
            });
            let record = AuditRecord {
                actor: actor.to_owned(),
                action: BULK_EXPORT_REFUSED,
                job_id: None,
                detail,
            };
            self.directory.record(tenant, &record).await?;
        }
        checked
    }

    /// Queues a checked request for the server's workers.
    ///
    /// # Errors
    /// The directory refused.
    pub async fn queue(
        &self,
        tenant: &Tenant,
        actor: &str,
        request: &ExportRequest,
    ) -> Result<Job, EngineError> {
        let request = serde_json::to_string(request).unwrap_or_default();
        let job = self
            .directory
            .create_job(tenant, &new_job_id(), JobOrigin::Server, actor, &request)
            .await?;
        self.queued.notify_one();
        Ok(job)
    }
}

/// Runs something that blocks away from the runtime's threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
) -> Result<T, EngineError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(exeat_directory::DirectoryError::from)?
}
