//! Limits that a tenant set for its plugins, in place of the defaults.

use sqlx::Row as _;

use crate::audit::{self, AuditRecord};
use crate::database::text;
use crate::{Directory, DirectoryError, Tenant, now_us};

/// Stands for every plugin of the tenant. No plugin has this name.
const EVERY_PLUGIN: &str = "";

/// What was set for a plugin, as JSON. What the plugin's own row says goes first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginLimitRows {
    /// For every plugin of the tenant.
    pub tenant: Option<String>,
    /// For the plugin of this name, in all its versions.
    pub plugin: Option<String>,
}

impl Directory {
    /// The limits that were set for a plugin; the empty name gives those of the tenant alone.
    ///
    /// # Errors
    /// The database refused.
    pub async fn plugin_limits(
        &self,
        tenant: &Tenant,
        name: &str,
    ) -> Result<PluginLimitRows, DirectoryError> {
        let rows =
            sqlx::query("SELECT name, limits FROM plugin_limits WHERE tenant_id = $1 AND name IN ($2, $3)")
                .bind(tenant.id)
                .bind(EVERY_PLUGIN)
                .bind(text(name))
                .fetch_all(&self.database.pool)
                .await?;
        let mut found = PluginLimitRows::default();
        for row in rows {
            let limits = Some(row.try_get(1)?);
            if row.try_get::<String, _>(0)? == EVERY_PLUGIN {
                found.tenant = limits;
            } else {
                found.plugin = limits;
            }
        }
        Ok(found)
    }

    /// Sets the limits of a plugin, or with the empty name those of every plugin of the tenant;
    /// none removes what was set.
    ///
    /// # Errors
    /// The database refused, or the limits are not JSON.
    pub async fn set_plugin_limits(
        &self,
        tenant: &Tenant,
        name: &str,
        limits: Option<&str>,
        audited: &AuditRecord,
    ) -> Result<(), DirectoryError> {
        let mut transaction = self.database.begin_for(tenant.id).await?;
        let query = match limits {
            Some(limits) => sqlx::query(
                "INSERT INTO plugin_limits (tenant_id, name, limits, changed_at) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (tenant_id, name) DO UPDATE SET limits = excluded.limits, changed_at = excluded.changed_at",
            )
            .bind(tenant.id)
            .bind(name)
            .bind(limits)
            .bind(now_us()),
            None => sqlx::query("DELETE FROM plugin_limits WHERE tenant_id = $1 AND name = $2")
                .bind(tenant.id)
                .bind(name),
        };
        query.execute(&mut *transaction).await?;
        audit::insert(&mut transaction, tenant.id, audited).await?;
        transaction.commit().await?;
        Ok(())
    }
}
