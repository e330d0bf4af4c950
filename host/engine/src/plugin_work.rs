//! What plugins did in a job, written down when it has ended: logs, figures, and what becomes of a
//! plugin that broke down.

use exeat_directory::plugins::{MAX_LOG_LINES, NewLogLine};
use exeat_directory::{Directory, DirectoryError, Tenant, now_us};
use exeat_gate::redact_text;
use exeat_sandbox::{Chain, Figures, PluginFailure, Recorder};

use crate::error::ExportFailure;
use crate::registry::ResolvedPlugin;
use crate::spec::ExportSpec;

/// The plugins of a job, and where their sessions have noted what they did.
#[derive(Debug)]
pub(crate) struct PluginWork {
    plugins: Vec<ResolvedPlugin>,
    /// One for each plugin that was opened, in the same order.
    recorders: Vec<Recorder>,
}

impl PluginWork {
    /// Before the plugins are opened.
    pub(crate) fn unopened(spec: &ExportSpec) -> Self {
        Self {
            plugins: spec.plugins().cloned().collect(),
            recorders: Vec::new(),
        }
    }

    pub(crate) fn of(chain: &Chain, spec: &ExportSpec) -> Self {
        Self {
            recorders: chain.recorders(),
            ..Self::unopened(spec)
        }
    }

    /// Writes it down. That this fails is no reason for the job to fail.
    pub(crate) async fn note(
        &self,
        directory: &Directory,
        tenant: &Tenant,
        job_id: &str,
        actor: &str,
        failure: Option<&ExportFailure>,
    ) {
        let noted = async {
            for (plugin, recorder) in self.plugins.iter().zip(&self.recorders) {
                keep(directory, tenant, job_id, plugin, recorder).await?;
            }
            if let Some(ExportFailure::Plugin(failure)) = failure {
                self.punish(directory, tenant, job_id, actor, failure).await?;
            }
            Ok::<_, DirectoryError>(())
        };
        if let Err(error) = noted.await {
            tracing::error!(job = job_id, %error, "what plugins did could not be written down");
        }
    }

    /// A plugin that broke down too often is quarantined until its owner enables it again; one that
    /// put out what never leaves, at once.
    async fn punish(
        &self,
        directory: &Directory,
        tenant: &Tenant,
        job_id: &str,
        actor: &str,
        failure: &PluginFailure,
    ) -> Result<(), DirectoryError> {
        let guilty = self
            .plugins
            .iter()
            .find(|plugin| plugin.used.plugin.label() == failure.plugin);
        let Some(guilty) = guilty else { return Ok(()) };
        let (digest, code, reason) = (
            guilty.used.plugin.digest(),
            failure.cause.code(),
            redact_text(&failure.to_string()).into_owned(),
        );
        if failure.guard().is_some_and(exeat_gate::GuardError::is_never) {
            directory
                .quarantine_plugin(tenant, digest, code, &reason, actor, job_id)
                .await?;
        } else if failure.cause.is_breakdown() {
            let most = guilty.used.limits.traps_to_quarantine;
            directory
                .note_plugin_trap(tenant, digest, most, code, &reason, actor, job_id)
                .await?;
        }
        Ok(())
    }
}

async fn keep(
    directory: &Directory,
    tenant: &Tenant,
    job_id: &str,
    plugin: &ResolvedPlugin,
    recorder: &Recorder,
) -> Result<(), DirectoryError> {
    let record = recorder.take();
    let loaded = &plugin.used.plugin;
    let merge = |kept: Option<&str>| {
        let mut all: Figures = kept
            .and_then(|json| serde_json::from_str(json).ok())
            .unwrap_or_default();
        all.absorb(&record.figures);
        serde_json::to_string(&all).unwrap_or_default()
    };
    let version = loaded.version().to_string();
    directory
        .merge_plugin_metrics(tenant, loaded.digest(), &plugin.name, &version, merge)
        .await?;
    if record.log.is_empty() {
        return Ok(());
    }
    let at = now_us();
    let lines: Vec<NewLogLine> = record
        .log
        .iter()
        // Older ones would be thrown away at once.
        .skip(record.log.len().saturating_sub(MAX_LOG_LINES as usize))
        .map(|line| NewLogLine {
            at,
            level: line.level.name(),
            text: redact_text(&line.text).into_owned(),
        })
        .collect();
    directory
        .append_plugin_log(tenant, loaded.digest(), job_id, &lines)
        .await
}
