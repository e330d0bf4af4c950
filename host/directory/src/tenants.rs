//! Tenants: whose users they are.

use sqlx::Row as _;

use crate::database::text;
use crate::{Directory, DirectoryError, now_us};

/// A tenant.
#[derive(Clone, PartialEq, Eq)]
pub struct Tenant {
    pub(crate) id: i64,
    name: String,
    key: [u8; 32],
}

/// Shows no key.
impl std::fmt::Debug for Tenant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tenant({})", self.name)
    }
}

impl Tenant {
    /// Name: letters, digits, hyphens and underscores.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The secret from which plugins' pseudonym keys are derived.
    pub fn key(&self) -> [u8; 32] {
        self.key
    }
}

fn is_tenant_name(name: &str) -> bool {
    let plain = name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    plain && (1..=64).contains(&name.len()) && !name.starts_with('-')
}

impl Directory {
    /// Name of a connection of a tenant by its public id, `con_` and 16 letters or digits.
    ///
    /// # Errors
    /// The database refused.
    pub async fn connection_name(
        &self,
        tenant: &Tenant,
        public_id: &str,
    ) -> Result<Option<String>, DirectoryError> {
        let row = sqlx::query("SELECT name FROM connections WHERE tenant_id = $1 AND public_id = $2")
            .bind(tenant.id)
            .bind(text(public_id))
            .fetch_optional(&self.database.pool)
            .await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    /// The tenant of this name.
    ///
    /// # Errors
    /// There is none.
    pub async fn tenant(&self, name: &str) -> Result<Tenant, DirectoryError> {
        self.find_tenant(name)
            .await?
            .ok_or_else(|| DirectoryError::UnknownTenant(name.to_owned()))
    }

    async fn find_tenant(&self, name: &str) -> Result<Option<Tenant>, DirectoryError> {
        let row = sqlx::query("SELECT tenant_id, name, pseudonym_key FROM tenants WHERE name = $1")
            .bind(text(name))
            .fetch_optional(&self.database.pool)
            .await?;
        row.as_ref().map(from_row).transpose()
    }

    pub(crate) async fn tenant_by_id(&self, tenant_id: i64) -> Result<Tenant, DirectoryError> {
        let row = sqlx::query("SELECT tenant_id, name, pseudonym_key FROM tenants WHERE tenant_id = $1")
            .bind(tenant_id)
            .fetch_one(&self.database.pool)
            .await?;
        from_row(&row)
    }

    /// The tenant of this name, and whether it had to be created.
    ///
    /// # Errors
    /// No tenant can have such a name.
    pub async fn ensure_tenant(&self, name: &str) -> Result<(Tenant, bool), DirectoryError> {
        if let Some(tenant) = self.find_tenant(name).await? {
            return Ok((tenant, false));
        }
        if !is_tenant_name(name) {
            return Err(DirectoryError::TenantName);
        }
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|_| DirectoryError::Random)?;
        let created = sqlx::query(
            "INSERT INTO tenants (name, pseudonym_key, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        )
        .bind(name)
        .bind(key.as_slice())
        .bind(now_us())
        .execute(&self.database.pool)
        .await?;
        Ok((self.tenant(name).await?, created.rows_affected() > 0))
    }

    /// Names of all tenants, sorted.
    ///
    /// # Errors
    /// The database refused.
    pub async fn tenant_names(&self) -> Result<Vec<String>, DirectoryError> {
        Ok(sqlx::query_scalar("SELECT name FROM tenants ORDER BY name")
            .fetch_all(&self.database.pool)
            .await?)
    }
}

fn from_row(row: &sqlx::any::AnyRow) -> Result<Tenant, DirectoryError> {
    let key: Vec<u8> = row.try_get(2)?;
    let key = key
        .try_into()
        .map_err(|_| DirectoryError::Corrupt("tenants.pseudonym_key"))?;
    Ok(Tenant {
        id: row.try_get(0)?,
        name: row.try_get(1)?,
        key,
    })
}
