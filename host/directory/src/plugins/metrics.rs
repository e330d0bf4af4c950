//! Figures of what plugins used, added up over their runs.

use crate::database::text;
use crate::{Directory, DirectoryError, Tenant, now_us};

impl Directory {
    /// Replaces the metrics of a plugin by what `merge` makes of those that are there. No other
    /// merge comes between reading and writing.
    ///
    /// # Errors
    /// The database refused, or what `merge` gives is not JSON.
    pub async fn merge_plugin_metrics(
        &self,
        tenant: &Tenant,
        digest: &str,
        name: &str,
        version: &str,
        merge: impl FnOnce(Option<&str>) -> String,
    ) -> Result<(), DirectoryError> {
        let mut transaction = self.database.begin_for(tenant.id).await?;
        let before: Option<String> =
            sqlx::query_scalar("SELECT metrics FROM plugin_metrics WHERE tenant_id = $1 AND digest = $2")
                .bind(tenant.id)
                .bind(digest)
                .fetch_optional(&mut *transaction)
                .await?;
        sqlx::query(
            "INSERT INTO plugin_metrics (tenant_id, digest, name, version, metrics, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (tenant_id, digest) DO UPDATE SET name = excluded.name, version = excluded.version,
                                       metrics = excluded.metrics, updated_at = excluded.updated_at",
        )
        .bind(tenant.id)
        .bind(digest)
        .bind(name)
        .bind(version)
        .bind(merge(before.as_deref()))
        .bind(now_us())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// The metrics of a plugin, as JSON; nothing where it never ran.
    ///
    /// # Errors
    /// The database refused.
    pub async fn plugin_metrics(
        &self,
        tenant: &Tenant,
        digest: &str,
    ) -> Result<Option<String>, DirectoryError> {
        let metrics =
            sqlx::query_scalar("SELECT metrics FROM plugin_metrics WHERE tenant_id = $1 AND digest = $2");
        Ok(metrics
            .bind(tenant.id)
            .bind(text(digest))
            .fetch_optional(&self.database.pool)
            .await?)
    }
}
