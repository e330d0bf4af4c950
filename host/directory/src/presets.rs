//! Requests for exports that somebody keeps under a name.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::audit::{self, AuditRecord};
use crate::database::text;
use crate::{Directory, DirectoryError, Tenant, format_timestamp, now_us};

/// How many a tenant may have.
pub const MAX_PRESETS: u32 = 200;

/// A request that is kept.
#[derive(Clone, Debug)]
pub struct Preset {
    /// Its name, unique in the tenant.
    pub name: String,
    /// The request, as JSON.
    pub request: String,
    /// When it was last written, RFC 3339.
    pub changed_at: String,
}

/// What came of writing a preset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresetWritten {
    /// There was none of this name.
    Made,
    /// It is another now.
    Changed,
    /// The tenant has [as many as it may](MAX_PRESETS).
    TooMany,
}

impl Directory {
    /// Keeps a request under a name, in place of the one that was.
    ///
    /// # Errors
    /// The database refused.
    pub async fn write_preset(
        &self,
        tenant: &Tenant,
        name: &str,
        request: &str,
        audited: &AuditRecord,
    ) -> Result<PresetWritten, DirectoryError> {
        let mut transaction = self.database.begin_for(tenant.id).await?;
        let names: Vec<String> = sqlx::query_scalar("SELECT name FROM presets WHERE tenant_id = $1")
            .bind(tenant.id)
            .fetch_all(&mut *transaction)
            .await?;
        let there = names.iter().any(|kept| kept == name);
        if !there && names.len() >= MAX_PRESETS as usize {
            return Ok(PresetWritten::TooMany);
        }
        sqlx::query(
            "INSERT INTO presets (tenant_id, name, request, changed_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (tenant_id, name) DO UPDATE SET request = excluded.request, changed_at = excluded.changed_at",
        )
        .bind(tenant.id)
        .bind(text(name))
        .bind(request)
        .bind(now_us())
        .execute(&mut *transaction)
        .await?;
        audit::insert(&mut transaction, tenant.id, audited).await?;
        transaction.commit().await?;
        Ok(if there {
            PresetWritten::Changed
        } else {
            PresetWritten::Made
        })
    }

    /// The presets of a tenant, by name.
    ///
    /// # Errors
    /// The database refused.
    pub async fn presets(&self, tenant: &Tenant) -> Result<Vec<Preset>, DirectoryError> {
        let rows =
            sqlx::query("SELECT name, request, changed_at FROM presets WHERE tenant_id = $1 ORDER BY name")
                .bind(tenant.id)
                .fetch_all(&self.database.pool)
                .await?;
        rows.iter().map(from_row).collect()
    }

    /// The preset of this name.
    ///
    /// # Errors
    /// The database refused.
    pub async fn preset(&self, tenant: &Tenant, name: &str) -> Result<Option<Preset>, DirectoryError> {
        let row =
            sqlx::query("SELECT name, request, changed_at FROM presets WHERE tenant_id = $1 AND name = $2")
                .bind(tenant.id)
                .bind(text(name))
                .fetch_optional(&self.database.pool)
                .await?;
        row.as_ref().map(from_row).transpose()
    }

    /// Forgets a preset; false if there is none.
    ///
    /// # Errors
    /// The database refused.
    pub async fn delete_preset(
        &self,
        tenant: &Tenant,
        name: &str,
        audited: &AuditRecord,
    ) -> Result<bool, DirectoryError> {
        let mut transaction = self.database.begin().await?;
        let deleted = sqlx::query("DELETE FROM presets WHERE tenant_id = $1 AND name = $2")
            .bind(tenant.id)
            .bind(text(name))
            .execute(&mut *transaction)
            .await?;
        if deleted.rows_affected() == 0 {
            return Ok(false);
        }
        audit::insert(&mut transaction, tenant.id, audited).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

fn from_row(row: &AnyRow) -> Result<Preset, DirectoryError> {
    Ok(Preset {
        name: row.try_get(0)?,
        request: row.try_get(1)?,
        changed_at: format_timestamp(row.try_get(2)?),
    })
}
