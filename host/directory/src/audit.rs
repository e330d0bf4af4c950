//! The audit trail: what left, what was refused, who asked.

use schemars::JsonSchema;
use serde::Serialize;
use sqlx::{AnyConnection, Row as _};

use crate::{Directory, DirectoryError, Tenant, format_timestamp, now_us};

/// A fact to be recorded. The detail names fields, filters, counts and digests, never a user's values.
#[derive(Clone, Debug)]
pub struct AuditRecord {
    /// Who did it: `token:NAME` or `command:USER`.
    pub actor: String,
    /// What was done, such as `user.bulk_export`.
    pub action: &'static str,
    /// The job.
    pub job_id: Option<String>,
    /// More, as a JSON object.
    pub detail: serde_json::Value,
}

/// A fact that was recorded.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct AuditEntry {
    /// Number, ascending.
    pub audit_id: i64,
    /// When, in RFC 3339.
    pub at: String,
    /// Who did it.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// The job.
    pub job_id: Option<String>,
    /// More.
    pub detail: serde_json::Value,
}

/// An export was completed.
pub const BULK_EXPORT: &str = "user.bulk_export";
/// An export was refused.
pub const BULK_EXPORT_REFUSED: &str = "user.bulk_export_refused";
/// An export failed.
pub const BULK_EXPORT_FAILED: &str = "user.bulk_export_failed";
/// An export was cancelled.
pub const BULK_EXPORT_CANCELLED: &str = "user.bulk_export_cancelled";
/// The files of an export were removed because their time was over.
pub const BULK_EXPORT_PURGED: &str = "user.bulk_export_purged";
/// The files of an export were removed because somebody asked for it.
pub const BULK_EXPORT_DELETED: &str = "user.bulk_export_deleted";
/// An export was deleted.
pub const EXPORT_DELETED: &str = "user.bulk_export_record_deleted";
/// An export was tried on a few users, or a few users were listed.
pub const PREVIEW: &str = "user.preview";
/// Users were counted.
pub const COUNT: &str = "user.count";
/// Somebody ordered that the files of an export are kept.
pub const BULK_EXPORT_HELD: &str = "user.bulk_export_held";
/// Somebody lifted the order to keep the files of an export.
pub const BULK_EXPORT_RELEASED: &str = "user.bulk_export_released";
/// A stream of users began.
pub const STREAM_BEGUN: &str = "user.stream_begun";
/// A stream of users ended.
pub const STREAM: &str = "user.stream";
/// A file of an export was downloaded.
pub const DOWNLOAD: &str = "user.bulk_export_download";
/// A download was refused: the link was too old, changed, used up, or its token lost the right.
pub const DOWNLOAD_REFUSED: &str = "user.bulk_export_download_refused";
/// A link to a file of an export was signed.
pub const LINK_SIGNED: &str = "user.bulk_export_link_signed";
/// A preset was written or deleted.
pub const PRESET_CHANGED: &str = "preset.changed";
/// A webhook was written or deleted, or got another secret.
pub const WEBHOOK_CHANGED: &str = "webhook.changed";
/// A plugin was uploaded.
pub const PLUGIN_UPLOADED: &str = "plugin.uploaded";
/// A plugin passed its admission.
pub const PLUGIN_ADMITTED: &str = "plugin.admitted";
/// A plugin did not pass its admission.
pub const PLUGIN_REFUSED: &str = "plugin.refused";
/// A plugin was switched on.
pub const PLUGIN_ENABLED: &str = "plugin.enabled";
/// A plugin was switched off.
pub const PLUGIN_DISABLED: &str = "plugin.disabled";
/// A plugin was switched off because it misbehaved.
pub const PLUGIN_QUARANTINED: &str = "plugin.quarantined";
/// A plugin was deleted.
pub const PLUGIN_DELETED: &str = "plugin.deleted";
/// Somebody read what a plugin logged.
pub const PLUGIN_LOG_READ: &str = "plugin.log_read";
/// The limits of a plugin, or of all plugins of a tenant, were set or removed.
pub const PLUGIN_LIMITS_SET: &str = "plugin.limits_set";

impl Directory {
    /// Records a fact that stands on its own.
    ///
    /// # Errors
    /// The database refused.
    pub async fn record(&self, tenant: &Tenant, record: &AuditRecord) -> Result<(), DirectoryError> {
        let mut connection = self.database.pool.acquire().await?;
        insert(&mut connection, tenant.id, record).await
    }

    /// The newest records of a tenant, newest first.
    ///
    /// # Errors
    /// The database refused.
    pub async fn audit(&self, tenant: &Tenant, limit: u32) -> Result<Vec<AuditEntry>, DirectoryError> {
        self.audit_before(tenant, i64::MAX, limit).await
    }

    /// The same, of those older than the record of this number.
    ///
    /// # Errors
    /// The database refused.
    pub async fn audit_before(
        &self,
        tenant: &Tenant,
        audit_id: i64,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, DirectoryError> {
        let rows = sqlx::query(
            "SELECT audit_id, at, actor, action, job_id, detail FROM audit
             WHERE tenant_id = $1 AND audit_id < $2 ORDER BY audit_id DESC LIMIT $3",
        )
        .bind(tenant.id)
        .bind(audit_id)
        .bind(i64::from(limit))
        .fetch_all(&self.database.pool)
        .await?;
        rows.iter()
            .map(|row| {
                let detail: String = row.try_get(5)?;
                Ok(AuditEntry {
                    audit_id: row.try_get(0)?,
                    at: format_timestamp(row.try_get(1)?),
                    actor: row.try_get(2)?,
                    action: row.try_get(3)?,
                    job_id: row.try_get(4)?,
                    detail: serde_json::from_str(&detail)
                        .map_err(|_| DirectoryError::Corrupt("audit.detail"))?,
                })
            })
            .collect()
    }
}

/// Records a fact in the transaction that makes it one.
pub(crate) async fn insert(
    connection: &mut AnyConnection,
    tenant_id: i64,
    record: &AuditRecord,
) -> Result<(), DirectoryError> {
    sqlx::query(
        "INSERT INTO audit (at, tenant_id, actor, action, job_id, detail) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(now_us())
    .bind(tenant_id)
    .bind(&record.actor)
    .bind(record.action)
    .bind(&record.job_id)
    .bind(record.detail.to_string())
    .execute(connection)
    .await?;
    Ok(())
}
