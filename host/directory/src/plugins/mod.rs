//! Plugins that tenants uploaded: which versions there are, in which state, and what they left.
//!
//! ```text
//! register ──► admitting ──► admitted ◄──────► disabled
//!                  │            │  ▲               ▲
//!                  ▼            ▼  │ by a person   │
//!               refused       quarantined ─────────┘
//! ```
//!
//! A version is what it was when it was uploaded; only one that was refused can be replaced.
//! Every change and its audit record are one transaction.

mod limits;
mod log;
mod metrics;
mod record;
mod state;

use std::cmp::Reverse;

use semver::Version;
use sqlx::AnyConnection;

use crate::audit::{self, AuditRecord};
use crate::database::text;
use crate::{Directory, DirectoryError, Tenant, now_us};

pub use limits::PluginLimitRows;
pub use log::{MAX_LOG_LINES, NewLogLine, PluginLogEntry};
pub use record::{NewPlugin, PluginRecord, PluginState};
pub use state::Deletion;

use record::{from_row, select};

/// Versions of plugins that one tenant can have, of all names together.
pub const MAX_PLUGIN_VERSIONS: u32 = 1_000;

/// Bytes that the components of one tenant can have together, refused ones apart.
pub const MAX_PLUGIN_BYTES: u64 = 4 << 30;

/// What became of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registered {
    /// It is to be admitted. A refused one of this name and version, if there was one, is gone.
    New,
    /// These bytes are there already, in a state other than refused.
    Same(PluginRecord),
    /// Other bytes are there under this name and version.
    Different(PluginRecord),
    /// The tenant has [`MAX_PLUGIN_VERSIONS`], or would have more than [`MAX_PLUGIN_BYTES`].
    TooMany,
}

/// How an admission ended.
#[derive(Clone, Debug)]
pub enum AdmissionEnd {
    /// The plugin can be used.
    Admitted {
        /// What the plugin says it does.
        summary: String,
        /// The schema of its configuration, as JSON.
        config_schema: Option<String>,
        /// The fields that it reads.
        reads: Vec<String>,
        /// Notes and figures, as JSON.
        admission: String,
    },
    /// The plugin cannot be used.
    Refused {
        /// Why, for programs.
        code: String,
        /// Why, for people.
        reason: String,
    },
}

impl Directory {
    /// Notes an upload, to be admitted. The audit record is written only where it is new.
    ///
    /// # Errors
    /// The version is none, or the database refused.
    pub async fn register_plugin(
        &self,
        tenant: &Tenant,
        plugin: &NewPlugin,
        audited: &AuditRecord,
    ) -> Result<Registered, DirectoryError> {
        if Version::parse(&plugin.version).is_err() {
            return Err(DirectoryError::PluginVersion);
        }
        let mut transaction = self.database.begin_for(tenant.id).await?;
        let found = sqlx::query(select("tenant_id = $1 AND name = $2 AND version = $3"))
            .bind(tenant.id)
            .bind(&plugin.name)
            .bind(&plugin.version)
            .fetch_optional(&mut *transaction)
            .await?;
        let refused = match found.as_ref().map(from_row).transpose()? {
            Some(known) if known.state == PluginState::Refused => Some(known),
            Some(known) if known.digest == plugin.digest => return Ok(Registered::Same(known)),
            Some(known) => return Ok(Registered::Different(known)),
            None => None,
        };
        if let Some(refused) = &refused {
            sqlx::query("DELETE FROM plugins WHERE plugin_id = $1")
                .bind(refused.plugin_id)
                .execute(&mut *transaction)
                .await?;
        } else {
            let versions: i64 = sqlx::query_scalar("SELECT count(*) FROM plugins WHERE tenant_id = $1")
                .bind(tenant.id)
                .fetch_one(&mut *transaction)
                .await?;
            if versions >= i64::from(MAX_PLUGIN_VERSIONS) {
                return Ok(Registered::TooMany);
            }
        }
        let bytes: i64 = sqlx::query_scalar(
            "SELECT CAST(coalesce(sum(bytes), 0) AS BIGINT) FROM plugins WHERE tenant_id = $1 AND state <> 'refused'",
        )
        .bind(tenant.id)
        .fetch_one(&mut *transaction)
        .await?;
        if bytes as u64 + plugin.bytes > MAX_PLUGIN_BYTES {
            return Ok(Registered::TooMany);
        }
        sqlx::query(
            "INSERT INTO plugins (tenant_id, name, version, kind, digest, bytes, state, uploader, uploaded_at,
                                  changed_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)",
        )
        .bind(tenant.id)
        .bind(&plugin.name)
        .bind(&plugin.version)
        .bind(plugin.kind)
        .bind(&plugin.digest)
        .bind(plugin.bytes as i64)
        .bind(PluginState::Admitting.name())
        .bind(&plugin.uploader)
        .bind(now_us())
        .execute(&mut *transaction)
        .await?;
        if let Some(refused) = &refused {
            state::forget_digest(&mut transaction, tenant.id, &refused.digest).await?;
        }
        audit::insert(&mut transaction, tenant.id, audited).await?;
        transaction.commit().await?;
        Ok(Registered::New)
    }

    /// Whether any tenant has a plugin of this component that was not refused.
    ///
    /// # Errors
    /// The database refused.
    pub async fn is_component_needed(&self, digest: &str) -> Result<bool, DirectoryError> {
        let mut connection = self.database.pool.acquire().await?;
        is_needed(&mut connection, digest).await
    }

    /// The plugins of every tenant whose admission has not ended, oldest first: after a crash,
    /// those to begin again with.
    ///
    /// # Errors
    /// The database refused.
    pub async fn admitting_plugins(&self) -> Result<Vec<(Tenant, PluginRecord)>, DirectoryError> {
        let rows = sqlx::query(select("state = 'admitting' ORDER BY plugin_id"))
            .fetch_all(&self.database.pool)
            .await?;
        let mut admitting = Vec::with_capacity(rows.len());
        for row in rows {
            let tenant = self.tenant_by_id(record::tenant_id(&row)?).await?;
            admitting.push((tenant, from_row(&row)?));
        }
        Ok(admitting)
    }

    /// Ends an admission. False, and nothing done, if these bytes are no longer being admitted.
    ///
    /// # Errors
    /// The database refused.
    pub async fn end_admission(
        &self,
        tenant: &Tenant,
        name: &str,
        version: &str,
        digest: &str,
        end: &AdmissionEnd,
        audited: &AuditRecord,
    ) -> Result<bool, DirectoryError> {
        let query = match end {
            AdmissionEnd::Admitted {
                summary,
                config_schema,
                reads,
                admission,
            } => sqlx::query(
                "UPDATE plugins SET state = 'admitted', changed_at = $5, summary = $6, config_schema = $7,
                                    reads = $8, admission = $9
                 WHERE tenant_id = $1 AND name = $2 AND version = $3 AND digest = $4 AND state = 'admitting'",
            )
            .bind(tenant.id)
            .bind(name)
            .bind(version)
            .bind(digest)
            .bind(now_us())
            .bind(text(summary))
            .bind(config_schema)
            .bind(serde_json::json!(reads).to_string())
            .bind(admission),
            AdmissionEnd::Refused { code, reason } => sqlx::query(
                "UPDATE plugins SET state = 'refused', changed_at = $5, reason_code = $6, reason = $7
                 WHERE tenant_id = $1 AND name = $2 AND version = $3 AND digest = $4 AND state = 'admitting'",
            )
            .bind(tenant.id)
            .bind(name)
            .bind(version)
            .bind(digest)
            .bind(now_us())
            .bind(text(code))
            .bind(text(reason)),
        };
        let mut transaction = self.database.begin_for(tenant.id).await?;
        if query.execute(&mut *transaction).await?.rows_affected() == 0 {
            return Ok(false);
        }
        audit::insert(&mut transaction, tenant.id, audited).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// A version of a plugin.
    ///
    /// # Errors
    /// The database refused.
    pub async fn plugin(
        &self,
        tenant: &Tenant,
        name: &str,
        version: &str,
    ) -> Result<Option<PluginRecord>, DirectoryError> {
        let row = sqlx::query(select("tenant_id = $1 AND name = $2 AND version = $3"))
            .bind(tenant.id)
            .bind(text(name))
            .bind(text(version))
            .fetch_optional(&self.database.pool)
            .await?;
        row.as_ref().map(from_row).transpose()
    }

    /// The plugin of these bytes. Where several versions have them: an admitted one before
    /// others, and the newest upload of those.
    ///
    /// # Errors
    /// The database refused.
    pub async fn plugin_by_digest(
        &self,
        tenant: &Tenant,
        digest: &str,
    ) -> Result<Option<PluginRecord>, DirectoryError> {
        let row = sqlx::query(select(record::OF_DIGEST))
            .bind(tenant.id)
            .bind(text(digest))
            .fetch_optional(&self.database.pool)
            .await?;
        row.as_ref().map(from_row).transpose()
    }

    /// Every version of every plugin of a tenant, by name, the highest version of a name first.
    ///
    /// # Errors
    /// The database refused.
    pub async fn plugins(&self, tenant: &Tenant) -> Result<Vec<PluginRecord>, DirectoryError> {
        let rows = sqlx::query(select("tenant_id = $1"))
            .bind(tenant.id)
            .fetch_all(&self.database.pool)
            .await?;
        let mut plugins = rows
            .iter()
            .map(|row| {
                let plugin = from_row(row)?;
                Ok((plugin.semver()?, plugin))
            })
            .collect::<Result<Vec<_>, DirectoryError>>()?;
        plugins.sort_by(|(a_version, a), (b_version, b)| {
            a.name
                .cmp(&b.name)
                .then_with(|| Reverse(a_version).cmp(&Reverse(b_version)))
        });
        Ok(plugins.into_iter().map(|(_, plugin)| plugin).collect())
    }

    /// The highest admitted version of a plugin: a release before any pre-release.
    ///
    /// # Errors
    /// The database refused.
    pub async fn latest_plugin(
        &self,
        tenant: &Tenant,
        name: &str,
    ) -> Result<Option<PluginRecord>, DirectoryError> {
        let rows = sqlx::query(select("tenant_id = $1 AND name = $2 AND state = 'admitted'"))
            .bind(tenant.id)
            .bind(text(name))
            .fetch_all(&self.database.pool)
            .await?;
        let mut latest = None;
        for row in &rows {
            let plugin = from_row(row)?;
            let version = plugin.semver()?;
            let rank = (version.pre.is_empty(), version);
            if latest.as_ref().is_none_or(|(highest, _)| rank > *highest) {
                latest = Some((rank, plugin));
            }
        }
        Ok(latest.map(|(_, plugin)| plugin))
    }
}

/// Whether any tenant has a plugin of these bytes.
async fn is_needed(connection: &mut AnyConnection, digest: &str) -> Result<bool, DirectoryError> {
    let needed =
        sqlx::query("SELECT plugin_id FROM plugins WHERE digest = $1 AND state <> 'refused' LIMIT 1")
            .bind(text(digest))
            .fetch_optional(connection)
            .await?;
    Ok(needed.is_some())
}
