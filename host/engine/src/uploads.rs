//! Plugins from strangers: upload and admission, states, dry runs, logs, metrics, limits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use exeat_directory::Tenant;
use exeat_directory::audit::{
    AuditRecord, PLUGIN_ADMITTED, PLUGIN_DELETED, PLUGIN_DISABLED, PLUGIN_ENABLED, PLUGIN_LIMITS_SET,
    PLUGIN_LOG_READ, PLUGIN_REFUSED, PLUGIN_UPLOADED,
};
use exeat_directory::plugins::{
    AdmissionEnd, Deletion, NewPlugin, PluginLogEntry, PluginRecord, PluginState, Registered,
};
use exeat_sandbox::{LimitSettings, LoadError, PluginLimits, PluginUse, Refusal, inspect, is_plugin_name};
use exeat_workbench::{Admitted, Outcome, Smoke, TrialError, admit, fields_of, objects, run, trial_job};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::engine::{Engine, blocking};
use crate::error::{EngineError, RequestError};
use crate::registry::{PluginMetrics, PluginSummary, parse_version, shipped};
use crate::spec::trial_problem;

/// Components that are compiled at once: each takes a process, a core and some memory.
const MAX_COMPILATIONS: usize = 2;

/// Uploads whose bodies are in memory at once; the others wait, and send nothing meanwhile.
const MAX_UPLOADS: usize = 4;

/// Uploads that wait for admission at once.
const MAX_WAITING: usize = 64;

/// Rows of a dry run.
pub const MAX_DRY_RUN_ROWS: usize = 1_000;

/// Bytes that one call of a dry run puts out: all of them become JSON in memory.
const MAX_DRY_RUN_BYTES: usize = 4 << 20;

/// What uploads share.
#[derive(Debug)]
pub(crate) struct Uploads {
    compilations: Semaphore,
    bodies: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// Held from storing a component to registering it, and from deleting the last plugin of a
    /// component to removing it: neither may come between the other's steps.
    storing: tokio::sync::Mutex<()>,
}

impl Default for Uploads {
    fn default() -> Self {
        Self {
            compilations: Semaphore::new(MAX_COMPILATIONS),
            bodies: Arc::new(Semaphore::new(MAX_UPLOADS)),
            waiting: Arc::new(Semaphore::new(MAX_WAITING)),
            storing: tokio::sync::Mutex::default(),
        }
    }
}

/// A component that somebody wants to upload.
#[derive(Clone, Debug)]
pub struct Upload {
    /// The plugin's name.
    pub name: String,
    /// Its semantic version.
    pub version: String,
    /// The component.
    pub component: Bytes,
}

/// An upload that was taken.
#[derive(Debug)]
pub struct Uploaded {
    /// The plugin.
    pub plugin: PluginSummary,
    /// Whether it was there before, with the same bytes.
    pub existed: bool,
}

/// A dry run: sample rows for a plugin.
#[derive(Clone, Debug)]
pub struct DryRun {
    /// The plugin's configuration.
    pub config: Value,
    /// The rows, as JSON objects.
    pub rows: Vec<Value>,
    /// Whether instructions are counted, for which the component may have to be compiled again.
    pub fuel: bool,
}

/// What came of a dry run.
#[derive(Debug)]
pub struct DryRunOutcome {
    /// What the plugin made of the rows.
    pub outcome: Outcome,
    /// What it cost.
    pub metrics: PluginMetrics,
}

/// A place for the body of one upload.
pub type UploadPlace = tokio::sync::OwnedSemaphorePermit;

impl Engine {
    /// Waits for a place to read the body of an upload into.
    ///
    /// # Errors
    /// There are too many uploads before it.
    pub async fn upload_place(&self) -> Result<UploadPlace, EngineError> {
        let waited = tokio::time::timeout(
            Duration::from_secs(60),
            Arc::clone(&self.uploads.bodies).acquire_owned(),
        );
        match waited.await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(busy().into()),
        }
    }

    /// Takes an upload: looks at the bytes, stores them, gives its place back, and begins the
    /// admission, for whose end it waits at most `patience`.
    ///
    /// # Errors
    /// The component is refused, or the version exists with other bytes.
    pub async fn upload_plugin(
        &self,
        tenant: &Tenant,
        actor: &str,
        upload: Upload,
        place: UploadPlace,
        patience: Duration,
    ) -> Result<Uploaded, EngineError> {
        let Upload {
            name,
            version,
            component,
        } = upload;
        check_name(&name)?;
        parse_version(&version)?;
        let limits = self.plugins.limits(tenant, &name).await?;
        let to_inspect = component.clone();
        let inspected = tokio::task::spawn_blocking(move || inspect(&to_inspect, &limits)).await;
        let inspection = match inspected.map_err(exeat_directory::DirectoryError::from)? {
            Ok(inspection) => inspection,
            Err(refusal) => {
                let detail = json!({
                    "plugin": name, "version": version, "code": refusal.code.name(), "detail": refusal.message,
                    "digest": exeat_sandbox::digest(&component), "bytes": component.len(),
                });
                self.directory
                    .record(tenant, &record(actor, PLUGIN_REFUSED, detail))
                    .await?;
                return Err(refused(&refusal).into());
            }
        };
        let new = NewPlugin {
            name: name.clone(),
            version: version.clone(),
            kind: inspection.kind.name(),
            digest: inspection.digest.clone(),
            bytes: inspection.bytes,
            uploader: actor.to_owned(),
        };
        let Ok(waiting) = Arc::clone(&self.uploads.waiting).try_acquire_owned() else {
            return Err(busy().into());
        };
        let registered = self.register(tenant, actor, &new, component).await;
        drop(place);
        if !matches!(registered, Ok(Registered::New | Registered::Same(_))) {
            // It was stored before anybody knew that nobody would have it.
            self.remove_unneeded(&new.digest).await?;
        }
        match registered? {
            Registered::New => {
                let admission = self.admit_in_background(tenant, actor, &new, waiting);
                // Whoever does not want to wait polls the plugin's state.
                if let Ok(Ok(Err(error))) = tokio::time::timeout(patience, admission).await {
                    return Err(error);
                }
                let plugin = self.find_record(tenant, &name, &version).await?;
                match (plugin.state, &plugin.reason_code, &plugin.reason) {
                    (PluginState::Refused, Some(code), Some(reason)) => Err(refused_as(code, reason).into()),
                    _ => Ok(Uploaded {
                        plugin: (&plugin).into(),
                        existed: false,
                    }),
                }
            }
            Registered::Same(plugin) => Ok(Uploaded {
                plugin: (&plugin).into(),
                existed: true,
            }),
            Registered::Different(existing) => {
                let detail = format!(
                    "the plugin {name} {version} exists, with other bytes ({}); a version never changes",
                    existing.digest
                );
                Err(RequestError::new("version-exists", "", detail)
                    .hint("upload it as another version")
                    .into())
            }
            Registered::TooMany => {
                let detail = "the tenant has as many plugin versions, or bytes of them, as one may have";
                Err(RequestError::new("too-many-versions", "", detail)
                    .hint("delete some")
                    .into())
            }
        }
    }

    async fn register(
        &self,
        tenant: &Tenant,
        actor: &str,
        new: &NewPlugin,
        component: Bytes,
    ) -> Result<Registered, EngineError> {
        let _storing = self.uploads.storing.lock().await;
        let detail = json!({
            "plugin": new.name, "version": new.version, "kind": new.kind, "digest": new.digest, "bytes": new.bytes,
        });
        self.plugins.components.put(&new.digest, component).await?;
        Ok(self
            .directory
            .register_plugin(tenant, new, &record(actor, PLUGIN_UPLOADED, detail))
            .await?)
    }

    /// Goes on with the admissions that a stopped server left behind.
    ///
    /// # Errors
    /// The directory refused.
    pub async fn resume_admissions(&self) -> Result<(), EngineError> {
        for (tenant, plugin) in self.directory.admitting_plugins().await? {
            let Ok(waiting) = Arc::clone(&self.uploads.waiting).acquire_owned().await else {
                return Ok(());
            };
            let upload = NewPlugin {
                name: plugin.name,
                version: plugin.version,
                // Nobody asks for it again.
                kind: "",
                digest: plugin.digest,
                bytes: plugin.bytes,
                uploader: plugin.uploader.clone(),
            };
            // Its end is recorded; nobody waits for it here.
            drop(self.admit_in_background(&tenant, &plugin.uploader, &upload, waiting));
        }
        Ok(())
    }

    fn admit_in_background(
        &self,
        tenant: &Tenant,
        actor: &str,
        upload: &NewPlugin,
        waiting: tokio::sync::OwnedSemaphorePermit,
    ) -> JoinHandle<Result<(), EngineError>> {
        let (engine, tenant, actor, upload) =
            (self.clone(), tenant.clone(), actor.to_owned(), upload.clone());
        tokio::spawn(async move {
            let _waiting = waiting;
            let done = engine.admit(&tenant, &actor, &upload).await;
            if let Err(error) = &done {
                tracing::error!(plugin = upload.name, upload.version, %error, "an admission could not be carried out");
            }
            done
        })
    }

    /// The component is read back when its turn has come: those that wait take no memory.
    async fn admit(&self, tenant: &Tenant, actor: &str, upload: &NewPlugin) -> Result<(), EngineError> {
        let _turn = self.uploads.compilations.acquire().await;
        let NewPlugin {
            name,
            version,
            digest,
            ..
        } = upload;
        let begun = Instant::now();
        let (end, action) = match self.look_at(tenant, upload).await {
            Ok(admitted) => (admission_end(admitted, begun.elapsed()), PLUGIN_ADMITTED),
            Err(LoadError::Refused(refusal)) => (refusal_end(&refusal), PLUGIN_REFUSED),
            Err(LoadError::Host(error)) => {
                tracing::error!(
                    plugin = name,
                    version,
                    error,
                    "a component could not be looked at"
                );
                (host_fault_end(), PLUGIN_REFUSED)
            }
        };
        let mut detail = json!({"plugin": name, "version": version, "digest": digest});
        if let AdmissionEnd::Refused { code, reason } = &end {
            detail["code"] = code.as_str().into();
            detail["detail"] = reason.as_str().into();
        }
        let audited = record(actor, action, detail);
        let ended = self
            .directory
            .end_admission(tenant, name, version, digest, &end, &audited);
        // It may have been deleted while it was compiled.
        if !ended.await? || action == PLUGIN_REFUSED {
            self.remove_unneeded(digest).await?;
        }
        Ok(())
    }

    async fn look_at(&self, tenant: &Tenant, upload: &NewPlugin) -> Result<Admitted, LoadError> {
        let host = |error: EngineError| LoadError::Host(error.into());
        let limits = self.plugins.limits(tenant, &upload.name).await.map_err(host)?;
        let version = parse_version(&upload.version).map_err(|error| host(error.into()))?;
        let component = self.plugins.components.get(&upload.digest).await;
        let component = component.map_err(|error| host(error.into()))?;
        let component = component.ok_or_else(|| LoadError::Host("the component is gone".into()))?;
        let (sandbox, name) = (self.plugins.sandbox.clone(), upload.name.clone());
        let looked =
            tokio::task::spawn_blocking(move || admit(&sandbox, &component, limits, Some((&name, &version))));
        looked.await.map_err(|error| LoadError::Host(error.into()))?
    }

    /// What nobody can use must not fill the disk.
    async fn remove_unneeded(&self, digest: &str) -> Result<(), EngineError> {
        let _storing = self.uploads.storing.lock().await;
        if !self.directory.is_component_needed(digest).await? {
            self.plugins.forget(digest);
            self.plugins.components.remove(digest).await?;
        }
        Ok(())
    }

    /// Every plugin that a tenant can use, and those of its own that it cannot.
    ///
    /// # Errors
    /// The directory refused, or a shipped plugin cannot be loaded.
    pub async fn plugins_of(&self, tenant: &Tenant) -> Result<Vec<PluginSummary>, EngineError> {
        let mut plugins = self.plugins().await?;
        let own = self.directory.plugins(tenant).await?;
        plugins.extend(own.iter().map(PluginSummary::from));
        Ok(plugins)
    }

    /// A version of a plugin of the tenant's own.
    ///
    /// # Errors
    /// There is none.
    pub async fn own_plugin(
        &self,
        tenant: &Tenant,
        name: &str,
        version: &str,
    ) -> Result<PluginSummary, EngineError> {
        Ok((&self.find_record(tenant, name, version).await?).into())
    }

    async fn find_record(
        &self,
        tenant: &Tenant,
        name: &str,
        version: &str,
    ) -> Result<PluginRecord, EngineError> {
        let record = self.directory.plugin(tenant, name, version).await?;
        record.ok_or_else(|| not_found(name, version).into())
    }

    /// Lets exports use a version again, and forgets its traps.
    ///
    /// # Errors
    /// There is none, or it was never admitted.
    pub async fn enable_plugin(
        &self,
        tenant: &Tenant,
        actor: &str,
        name: &str,
        version: &str,
    ) -> Result<PluginSummary, EngineError> {
        let from = [PluginState::Disabled, PluginState::Quarantined];
        self.set_state(tenant, actor, (name, version), &from, PluginState::Admitted)
            .await
    }

    /// Lets no export use a version.
    ///
    /// # Errors
    /// There is none, or it was never admitted.
    pub async fn disable_plugin(
        &self,
        tenant: &Tenant,
        actor: &str,
        name: &str,
        version: &str,
    ) -> Result<PluginSummary, EngineError> {
        let from = [PluginState::Admitted, PluginState::Quarantined];
        self.set_state(tenant, actor, (name, version), &from, PluginState::Disabled)
            .await
    }

    async fn set_state(
        &self,
        tenant: &Tenant,
        actor: &str,
        (name, version): (&str, &str),
        from: &[PluginState],
        to: PluginState,
    ) -> Result<PluginSummary, EngineError> {
        let (action, reason) = match to {
            PluginState::Admitted => (PLUGIN_ENABLED, None),
            _ => (PLUGIN_DISABLED, Some(("disabled", "it was disabled by hand"))),
        };
        let detail = json!({"plugin": name, "version": version});
        let audited = record(actor, action, detail);
        let changed = self
            .directory
            .set_plugin_state(tenant, name, version, from, to, reason, &audited)
            .await?;
        let plugin = self.find_record(tenant, name, version).await?;
        if !changed && plugin.state != to {
            let detail = format!("the plugin {name} {version} is {}", plugin.state.name());
            return Err(RequestError::new("plugin-not-usable", "", detail).into());
        }
        Ok((&plugin).into())
    }

    /// Deletes a version.
    ///
    /// # Errors
    /// There is none, or a job uses it.
    pub async fn delete_plugin(
        &self,
        tenant: &Tenant,
        actor: &str,
        name: &str,
        version: &str,
    ) -> Result<(), EngineError> {
        let _storing = self.uploads.storing.lock().await;
        let audited = record(actor, PLUGIN_DELETED, json!({"plugin": name, "version": version}));
        match self
            .directory
            .delete_plugin(tenant, name, version, &audited)
            .await?
        {
            Deletion::Deleted { digest, unused } => {
                if unused {
                    self.plugins.forget(&digest);
                    self.plugins.components.remove(&digest).await?;
                }
                Ok(())
            }
            Deletion::InUse { job_id } => {
                let detail = format!("the export {job_id} uses the plugin {name} {version}");
                Err(RequestError::new("plugin-in-use", "", detail)
                    .hint("try again when it has ended")
                    .into())
            }
            Deletion::NotFound => Err(not_found(name, version).into()),
        }
    }

    /// Runs a plugin on sample rows. Nothing is kept.
    ///
    /// # Errors
    /// The rows or the configuration are wrong, or the plugin fails.
    pub async fn dry_run(
        &self,
        tenant: &Tenant,
        name: &str,
        version: &str,
        dry_run: DryRun,
    ) -> Result<DryRunOutcome, EngineError> {
        if dry_run.rows.len() > MAX_DRY_RUN_ROWS {
            let detail = format!("a dry run has at most {MAX_DRY_RUN_ROWS} rows");
            return Err(RequestError::new("conflict", "/rows", detail).into());
        }
        let found = self.find_record(tenant, name, version).await?;
        if matches!(found.state, PluginState::Admitting | PluginState::Refused) {
            let detail = format!("the plugin {name} {version} is {}", found.state.name());
            return Err(RequestError::new("plugin-not-usable", "", detail).into());
        }
        let mut limits = self.plugins.limits(tenant, name).await?;
        limits.output_bytes_per_call = limits.output_bytes_per_call.min(MAX_DRY_RUN_BYTES);
        let mut sandbox = self.plugins.sandbox.clone();
        let mut plugin = self.plugins.load_own(&found).await?;
        if dry_run.fuel {
            let component = self
                .plugins
                .components
                .get(&found.digest)
                .await?
                .unwrap_or_default();
            let _turn = self.uploads.compilations.acquire().await;
            let registry = Arc::clone(&self.plugins);
            (sandbox, plugin) = blocking(move || {
                let metered = registry.metered()?;
                let load = exeat_sandbox::Plugin::load(&metered, &component, limits);
                let plugin = load.map_err(|source| EngineError::Plugin {
                    name: plugin.name().to_owned(),
                    source: Box::new(source),
                })?;
                Ok((metered, plugin))
            })
            .await?;
        }
        let outcome = blocking(move || {
            let rows = objects(dry_run.rows).map_err(|error| trial_problem(TrialError::Rows(error)))?;
            let selection = fields_of(&rows, std::iter::empty())
                .map_err(|error| trial_problem(TrialError::Rows(error)))?;
            let used = PluginUse {
                plugin,
                config: dry_run.config.to_string(),
                limits,
            };
            run(&sandbox, &trial_job(), &used, &selection, &rows).map_err(trial_problem)
        });
        let _turn = self.openings.acquire().await;
        let outcome = outcome.await?;
        Ok(DryRunOutcome {
            metrics: outcome.figures.clone().into(),
            outcome,
        })
    }

    /// The newest lines that a version has logged in the tenant's jobs, oldest first. They may quote
    /// users, so whoever reads them leaves a record.
    ///
    /// # Errors
    /// There is no such version.
    pub async fn plugin_log(
        &self,
        tenant: &Tenant,
        actor: &str,
        name: &str,
        version: &str,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Vec<PluginLogEntry>, EngineError> {
        let digest = self.digest_of(tenant, name, version).await?;
        let audited = record(
            actor,
            PLUGIN_LOG_READ,
            json!({"plugin": name, "version": version}),
        );
        self.directory.record(tenant, &audited).await?;
        Ok(self.directory.plugin_log(tenant, &digest, after, limit).await?)
    }

    /// What a version has cost and done in the tenant's jobs.
    ///
    /// # Errors
    /// There is no such version.
    pub async fn plugin_metrics(
        &self,
        tenant: &Tenant,
        name: &str,
        version: &str,
    ) -> Result<PluginMetrics, EngineError> {
        let digest = self.digest_of(tenant, name, version).await?;
        let kept = self.directory.plugin_metrics(tenant, &digest).await?;
        let figures = kept.and_then(|json| serde_json::from_str(&json).ok());
        Ok(PluginMetrics::from(
            figures.unwrap_or_else(exeat_sandbox::Figures::default),
        ))
    }

    /// Plugins that ship have logs and metrics as well.
    async fn digest_of(&self, tenant: &Tenant, name: &str, version: &str) -> Result<String, EngineError> {
        if shipped(name).is_some() {
            let shipped = self.plugins().await?;
            let bare = name.strip_prefix(crate::registry::SHIPPED).unwrap_or(name);
            let found = shipped.into_iter().find(|plugin| {
                plugin.name.strip_prefix(crate::registry::SHIPPED) == Some(bare) && plugin.version == version
            });
            return found
                .map(|plugin| plugin.digest)
                .ok_or_else(|| not_found(name, version).into());
        }
        Ok(self.find_record(tenant, name, version).await?.digest)
    }

    /// The limits that hold for a plugin of a tenant's; with an empty name, for any that has none
    /// of its own.
    ///
    /// # Errors
    /// The directory refused.
    pub async fn plugin_limits(&self, tenant: &Tenant, name: &str) -> Result<PluginLimits, EngineError> {
        self.plugins.limits(tenant, name).await
    }

    /// Sets limits of one plugin, or with an empty name of all of the tenant's; nothing goes back to
    /// the defaults.
    ///
    /// # Errors
    /// One is 0, or above the operator's ceiling.
    pub async fn set_plugin_limits(
        &self,
        tenant: &Tenant,
        actor: &str,
        name: &str,
        settings: Option<&LimitSettings>,
    ) -> Result<PluginLimits, EngineError> {
        if let Some(settings) = settings {
            let checked = PluginLimits::default().with(settings, &self.plugins.ceiling);
            checked.map_err(|error| {
                RequestError::new(
                    "limit-above-ceiling",
                    format!("/{}", error.name()),
                    error.to_string(),
                )
            })?;
        }
        let json = settings.map(|settings| serde_json::to_string(settings).unwrap_or_default());
        let detail = json!({"plugin": name, "limits": settings});
        let audited = record(actor, PLUGIN_LIMITS_SET, detail);
        self.directory
            .set_plugin_limits(tenant, name, json.as_deref(), &audited)
            .await?;
        self.plugins.limits(tenant, name).await
    }

    /// The limits that were set for exactly this name, for whoever wants to change one of them.
    ///
    /// # Errors
    /// The directory refused.
    pub async fn own_plugin_limits(&self, tenant: &Tenant, name: &str) -> Result<LimitSettings, EngineError> {
        let rows = self.directory.plugin_limits(tenant, name).await?;
        let set = if name.is_empty() { rows.tenant } else { rows.plugin };
        Ok(set
            .and_then(|json| serde_json::from_str(&json).ok())
            .unwrap_or_default())
    }
}

fn record(actor: &str, action: &'static str, detail: Value) -> AuditRecord {
    AuditRecord {
        actor: actor.to_owned(),
        action,
        job_id: None,
        detail,
    }
}

fn check_name(name: &str) -> Result<(), RequestError> {
    if shipped(name).is_some() {
        let detail = format!("{name} is the name of a plugin that ships");
        return Err(RequestError::new("reserved-name", "", detail).hint("choose another name"));
    }
    if !is_plugin_name(name) {
        let detail = "a plugin's name is 1 to 64 lower-case letters, digits and hyphens, a letter first";
        return Err(RequestError::new("invalid-query", "", detail));
    }
    Ok(())
}

fn busy() -> RequestError {
    let detail = "too many uploads are waiting for admission";
    RequestError::new("too-many-uploads", "", detail).hint("try again in a minute")
}

fn not_found(name: &str, version: &str) -> RequestError {
    RequestError::new("not-found", "", format!("there is no plugin {name} {version}"))
}

fn refused(refusal: &Refusal) -> RequestError {
    refused_as(refusal.code.name(), &refusal.message)
}

/// The code of a refusal stands in front of its sentence; that of the problem is the same for all.
fn refused_as(code: &str, reason: &str) -> RequestError {
    RequestError {
        reason: Some(code.to_owned()),
        ..RequestError::new("plugin-refused", "", reason).hint("exeat plugin check shows the same, offline")
    }
}

/// Whoever polls must learn that nothing will come of it.
fn host_fault_end() -> AdmissionEnd {
    AdmissionEnd::Refused {
        code: "host-fault".to_owned(),
        reason: "this host could not look at the component; upload it again".to_owned(),
    }
}

fn refusal_end(refusal: &Refusal) -> AdmissionEnd {
    AdmissionEnd::Refused {
        code: refusal.code.name().to_owned(),
        reason: refusal.message.clone(),
    }
}

fn admission_end(admitted: Admitted, took: Duration) -> AdmissionEnd {
    let Admitted { plugin, smoke } = admitted;
    let (reads, smoke) = match smoke {
        Smoke::Ran { reads, figures } => {
            let run = json!({
                "ran": true, "ns_per_row": figures.ns_per_row(), "peak_memory_bytes": figures.peak_memory_bytes,
            });
            (reads, run)
        }
        Smoke::NotRun(said) => (Vec::new(), json!({"ran": false, "because": said})),
    };
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let admission = json!({
        "milliseconds": ms(took), "compile_milliseconds": plugin.compiled_in().map(ms),
        "contract": plugin.inspection().contract, "imports": plugin.inspection().imports, "smoke_run": smoke,
    });
    AdmissionEnd::Admitted {
        summary: plugin.summary().to_owned(),
        config_schema: Some(plugin.config_schema().to_owned()),
        reads,
        admission: admission.to_string(),
    }
}
