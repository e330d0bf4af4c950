//! What happens to a plugin after its admission: switched off and on, quarantined, deleted.

use sqlx::AnyConnection;

use super::record::{OF_DIGEST, from_row, select};
use super::{PluginRecord, PluginState};
use crate::audit::{self, AuditRecord, PLUGIN_QUARANTINED};
use crate::database::text;
use crate::{Directory, DirectoryError, Tenant, now_us};

/// What became of a deletion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// The version is gone.
    Deleted {
        /// Of the bytes that it had.
        digest: String,
        /// Whether no other version of any tenant has these bytes.
        unused: bool,
    },
    /// A job that has not ended asks for these bytes.
    InUse {
        /// The job.
        job_id: String,
    },
    /// The tenant has no such version.
    NotFound,
}

/// Why a plugin is quarantined, and in whose job.
struct Misdeed<'a> {
    code: &'a str,
    reason: &'a str,
    actor: &'a str,
    job_id: &'a str,
}

impl Directory {
    /// Moves a plugin that passed its admission to another such state. Enabling forgets its traps
    /// and the reason; otherwise a reason replaces the one before. False, and nothing done, if
    /// the state is none of `from`, or no state of a plugin that passed.
    ///
    /// # Errors
    /// The database refused.
    #[expect(clippy::too_many_arguments, reason = "all of what one change consists of")]
    pub async fn set_plugin_state(
        &self,
        tenant: &Tenant,
        name: &str,
        version: &str,
        from: &[PluginState],
        to: PluginState,
        reason: Option<(&str, &str)>,
        audited: &AuditRecord,
    ) -> Result<bool, DirectoryError> {
        let mut transaction = self.database.begin_for(tenant.id).await?;
        let row = sqlx::query(select("tenant_id = $1 AND name = $2 AND version = $3"))
            .bind(tenant.id)
            .bind(text(name))
            .bind(text(version))
            .fetch_optional(&mut *transaction)
            .await?;
        let Some(plugin) = row.as_ref().map(from_row).transpose()? else {
            return Ok(false);
        };
        let allowed = plugin.state.passed_admission() && to.passed_admission();
        if !allowed || !from.contains(&plugin.state) {
            return Ok(false);
        }
        let enabled = to == PluginState::Admitted;
        let (code, reason) = if enabled { None } else { reason }.unzip();
        sqlx::query(
            "UPDATE plugins SET state = $2, changed_at = $3, traps = CASE WHEN $4 THEN 0 ELSE traps END,
                                reason_code = CASE WHEN $4 THEN NULL ELSE coalesce($5, reason_code) END,
                                reason = CASE WHEN $4 THEN NULL ELSE coalesce($6, reason) END
             WHERE plugin_id = $1",
        )
        .bind(plugin.plugin_id)
        .bind(to.name())
        .bind(now_us())
        .bind(enabled)
        .bind(code.map(text))
        .bind(reason.map(text))
        .execute(&mut *transaction)
        .await?;
        audit::insert(&mut transaction, tenant.id, audited).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Counts a trap, and quarantines the plugin if it is admitted and this makes `most` or more.
    /// Gives the state after it; nothing where the tenant has no plugin of these bytes.
    ///
    /// # Errors
    /// The database refused.
    #[expect(clippy::too_many_arguments, reason = "all of what is recorded of a trap")]
    pub async fn note_plugin_trap(
        &self,
        tenant: &Tenant,
        digest: &str,
        most: u32,
        code: &str,
        reason: &str,
        actor: &str,
        job_id: &str,
    ) -> Result<Option<PluginState>, DirectoryError> {
        let misdeed = Misdeed {
            code,
            reason,
            actor,
            job_id,
        };
        self.note_misdeed(tenant, digest, Some(most), &misdeed).await
    }

    /// Quarantines a plugin, if it is admitted, whatever the number of its traps. Gives the state
    /// after it; nothing where the tenant has no plugin of these bytes.
    ///
    /// # Errors
    /// The database refused.
    pub async fn quarantine_plugin(
        &self,
        tenant: &Tenant,
        digest: &str,
        code: &str,
        reason: &str,
        actor: &str,
        job_id: &str,
    ) -> Result<Option<PluginState>, DirectoryError> {
        let misdeed = Misdeed {
            code,
            reason,
            actor,
            job_id,
        };
        self.note_misdeed(tenant, digest, None, &misdeed).await
    }

    /// Several versions with the same bytes are one plugin here: they trap together.
    async fn note_misdeed(
        &self,
        tenant: &Tenant,
        digest: &str,
        most: Option<u32>,
        misdeed: &Misdeed<'_>,
    ) -> Result<Option<PluginState>, DirectoryError> {
        let mut transaction = self.database.begin_for(tenant.id).await?;
        let rows = sqlx::query(select(OF_DIGEST))
            .bind(tenant.id)
            .bind(digest)
            .fetch_all(&mut *transaction)
            .await?;
        let mut after = None;
        for row in &rows {
            let mut plugin = from_row(row)?;
            plugin.traps = plugin.traps.saturating_add(u32::from(most.is_some()));
            let enough = most.is_none_or(|most| plugin.traps >= most);
            if enough && plugin.state == PluginState::Admitted {
                plugin.state = PluginState::Quarantined;
                quarantine(&mut transaction, tenant, &plugin, misdeed).await?;
            }
            sqlx::query("UPDATE plugins SET traps = $2 WHERE plugin_id = $1")
                .bind(plugin.plugin_id)
                .bind(i64::from(plugin.traps))
                .execute(&mut *transaction)
                .await?;
            after.get_or_insert(plugin.state);
        }
        transaction.commit().await?;
        Ok(after)
    }

    /// Deletes a version, unless a job that has not ended asks for its bytes. The limits of its
    /// name go with the last version of that name; its log and metrics go with the last version
    /// of the tenant that has these bytes.
    ///
    /// # Errors
    /// The database refused.
    pub async fn delete_plugin(
        &self,
        tenant: &Tenant,
        name: &str,
        version: &str,
        audited: &AuditRecord,
    ) -> Result<Deletion, DirectoryError> {
        let mut transaction = self.database.begin_for(tenant.id).await?;
        let digest: Option<String> = sqlx::query_scalar(
            "SELECT digest FROM plugins WHERE tenant_id = $1 AND name = $2 AND version = $3",
        )
        .bind(tenant.id)
        .bind(text(name))
        .bind(text(version))
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(digest) = digest else {
            return Ok(Deletion::NotFound);
        };
        let job_id: Option<String> = sqlx::query_scalar(
            "SELECT job_id FROM jobs
             WHERE tenant_id = $1 AND state IN ('queued', 'running') AND request LIKE '%' || $2 || '%'
             ORDER BY job_id LIMIT 1",
        )
        .bind(tenant.id)
        .bind(&digest)
        .fetch_optional(&mut *transaction)
        .await?;
        if let Some(job_id) = job_id {
            return Ok(Deletion::InUse { job_id });
        }
        sqlx::query("DELETE FROM plugins WHERE tenant_id = $1 AND name = $2 AND version = $3")
            .bind(tenant.id)
            .bind(name)
            .bind(version)
            .execute(&mut *transaction)
            .await?;
        sqlx::query(
            "DELETE FROM plugin_limits WHERE tenant_id = $1 AND name = $2
             AND NOT EXISTS (SELECT 1 FROM plugins WHERE tenant_id = $1 AND name = $2)",
        )
        .bind(tenant.id)
        .bind(name)
        .execute(&mut *transaction)
        .await?;
        forget_digest(&mut transaction, tenant.id, &digest).await?;
        let unused = !super::is_needed(&mut transaction, &digest).await?;
        audit::insert(&mut transaction, tenant.id, audited).await?;
        transaction.commit().await?;
        Ok(Deletion::Deleted { digest, unused })
    }
}

async fn quarantine(
    connection: &mut AnyConnection,
    tenant: &Tenant,
    plugin: &PluginRecord,
    misdeed: &Misdeed<'_>,
) -> Result<(), DirectoryError> {
    sqlx::query(
        "UPDATE plugins SET state = 'quarantined', reason_code = $2, reason = $3, changed_at = $4
         WHERE plugin_id = $1",
    )
    .bind(plugin.plugin_id)
    .bind(text(misdeed.code))
    .bind(text(misdeed.reason))
    .bind(now_us())
    .execute(&mut *connection)
    .await?;
    let audited = AuditRecord {
        actor: misdeed.actor.to_owned(),
        action: PLUGIN_QUARANTINED,
        job_id: Some(misdeed.job_id.to_owned()),
        detail: serde_json::json!({
            "name": plugin.name,
            "version": plugin.version,
            "digest": plugin.digest,
            "code": misdeed.code,
            "reason": misdeed.reason,
            "traps": plugin.traps,
        }),
    };
    audit::insert(connection, tenant.id, &audited).await
}

/// Removes the log and the metrics of bytes that the tenant has no plugin of any more.
pub(super) async fn forget_digest(
    connection: &mut AnyConnection,
    tenant_id: i64,
    digest: &str,
) -> Result<(), DirectoryError> {
    let left = sqlx::query("SELECT plugin_id FROM plugins WHERE tenant_id = $1 AND digest = $2 LIMIT 1")
        .bind(tenant_id)
        .bind(digest)
        .fetch_optional(&mut *connection)
        .await?;
    if left.is_some() {
        return Ok(());
    }
    for forget in [
        "DELETE FROM plugin_log WHERE tenant_id = $1 AND digest = $2",
        "DELETE FROM plugin_metrics WHERE tenant_id = $1 AND digest = $2",
    ] {
        sqlx::query(forget)
            .bind(tenant_id)
            .bind(digest)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
