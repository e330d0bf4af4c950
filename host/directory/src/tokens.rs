//! API tokens: shown once, stored as a hash.

use std::collections::BTreeSet;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use sqlx::Row as _;
use sqlx::any::AnyRow;
use thiserror::Error;
use ulid::Ulid;

use crate::database::text;
use crate::{Directory, DirectoryError, Tenant, format_timestamp, now_us};

/// What a token starts with, so that people and scanners know one when they see it.
const PREFIX: &str = "exeat_";
/// 25 bytes are 200 bits and 40 base32 digits.
const RANDOM_BYTES: usize = 25;
/// How exact "last used" is: one write a minute and token is enough.
const LAST_USED_PRECISION_US: i64 = 60_000_000;

/// What a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Scope {
    /// Read users and stream them.
    #[serde(rename = "read:users")]
    ReadUsers,
    /// Request exports.
    #[serde(rename = "create:exports")]
    CreateExports,
    /// See exports and download their files.
    #[serde(rename = "read:exports")]
    ReadExports,
    /// Remove the files of exports before their time, or order that they are kept.
    #[serde(rename = "manage:exports")]
    ManageExports,
    /// See plugins, their logs and their metrics.
    #[serde(rename = "read:plugins")]
    ReadPlugins,
    /// Upload, enable, disable, limit and delete plugins.
    #[serde(rename = "manage:plugins")]
    ManagePlugins,
    /// See what left, what was refused, and who asked.
    #[serde(rename = "read:audit")]
    ReadAudit,
    /// Beside a scope to read or export users: fields that are sensitive.
    #[serde(rename = "export:sensitive")]
    ExportSensitive,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::ReadUsers,
        Self::CreateExports,
        Self::ReadExports,
        Self::ManageExports,
        Self::ReadPlugins,
        Self::ManagePlugins,
        Self::ReadAudit,
        Self::ExportSensitive,
    ];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReadUsers => "read:users",
            Self::CreateExports => "create:exports",
            Self::ReadExports => "read:exports",
            Self::ManageExports => "manage:exports",
            Self::ReadPlugins => "read:plugins",
            Self::ManagePlugins => "manage:plugins",
            Self::ReadAudit => "read:audit",
            Self::ExportSensitive => "export:sensitive",
        }
    }
}

/// There is no such scope.
#[derive(Debug, Error)]
#[error(
    "there is no scope \"{0}\"; there are read:users, create:exports, read:exports, manage:exports, read:plugins, manage:plugins, read:audit and export:sensitive"
)]
pub struct UnknownScope(String);

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(name: &str) -> Result<Self, UnknownScope> {
        Self::ALL
            .into_iter()
            .find(|scope| scope.name() == name)
            .ok_or_else(|| UnknownScope(name.to_owned()))
    }
}

/// Whether a text begins as our tokens do.
pub fn is_token(text: &str) -> bool {
    text.starts_with(PREFIX)
}

/// A new token. Its text is shown once and stored nowhere.
pub struct NewToken {
    /// Identifier, for lists.
    pub token_id: String,
    /// The token itself.
    pub secret: String,
}

/// Shows no secret.
impl std::fmt::Debug for NewToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NewToken({})", self.token_id)
    }
}

/// Who a request comes from.
#[derive(Clone, Debug)]
pub struct Bearer {
    /// The tenant whose token it is.
    pub tenant: Tenant,
    /// What it showed.
    pub credential: Credential,
    /// What it may do.
    pub scopes: BTreeSet<Scope>,
}

/// What somebody shows to be let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A token of ours.
    Token {
        /// Its identifier.
        token_id: String,
        /// Its name.
        name: String,
    },
    /// A token that an issuer of OpenID Connect signed.
    Signed {
        /// Whose it is, at the issuer.
        subject: String,
        /// Until when it is good: seconds since 1970-01-01T00:00:00Z.
        expires: i64,
    },
}

impl Bearer {
    /// Who it is, for the audit trail.
    pub fn actor(&self) -> String {
        match &self.credential {
            Credential::Token { name, .. } => format!("token:{name}"),
            Credential::Signed { subject, .. } => format!("oidc:{subject}"),
        }
    }

    /// Unlike any other bearer's.
    pub fn id(&self) -> String {
        match &self.credential {
            Credential::Token { token_id, .. } => token_id.clone(),
            Credential::Signed { subject, .. } => format!("oidc:{}:{subject}", self.tenant.name()),
        }
    }
}

/// A token as lists show it.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "the fields are those of the table")]
pub struct TokenEntry {
    pub token_id: String,
    pub name: String,
    pub scopes: String,
    pub created_at: String,
    pub expires_at: Option<String>,
    pub last_used_at: Option<String>,
    pub revoked_at: Option<String>,
}

impl Directory {
    /// Makes a token.
    ///
    /// # Errors
    /// The database refused, or there is no randomness.
    pub async fn create_token(
        &self,
        tenant: &Tenant,
        name: &str,
        scopes: &BTreeSet<Scope>,
        expires_at_us: Option<i64>,
    ) -> Result<NewToken, DirectoryError> {
        let mut random = [0; RANDOM_BYTES];
        getrandom::fill(&mut random).map_err(|_| DirectoryError::Random)?;
        let secret = format!("{PREFIX}{}", BASE32_NOPAD.encode(&random));
        let token_id = format!("tok_{}", Ulid::new());
        let scopes: Vec<&str> = scopes.iter().map(|scope| scope.name()).collect();
        sqlx::query(
            "INSERT INTO api_tokens (token_id, tenant_id, name, token_hash, scopes, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(&token_id)
        .bind(tenant.id)
        .bind(name)
        .bind(hash(&secret).as_slice())
        .bind(scopes.join(" "))
        .bind(now_us())
        .bind(expires_at_us)
        .execute(&self.database.pool)
        .await?;
        Ok(NewToken { token_id, secret })
    }

    /// Who holds this token; nobody if it is unknown, expired or revoked.
    ///
    /// # Errors
    /// The database refused.
    pub async fn authenticate(&self, secret: &str) -> Result<Option<Bearer>, DirectoryError> {
        let now = now_us();
        let Some(row) = self
            .valid_token("token_hash = $1", hash(secret).as_slice(), now)
            .await?
        else {
            return Ok(None);
        };
        let bearer = self.bearer(&row).await?;
        let token_id: String = row.try_get(0)?;
        let last_used: Option<i64> = row.try_get(4)?;
        if last_used.is_none_or(|at| now - at > LAST_USED_PRECISION_US) {
            let noted = sqlx::query("UPDATE api_tokens SET last_used_at = $2 WHERE token_id = $1")
                .bind(&token_id)
                .bind(now)
                .execute(&self.database.pool)
                .await;
            if let Err(error) = noted {
                // A busy database must not keep anybody out.
                tracing::warn!(%error, "the last use of a token could not be noted");
            }
        }
        Ok(Some(bearer))
    }

    /// Who holds the token of this id; nobody if it is unknown, expired or revoked. For whoever was
    /// given something in the token's name, such as a link.
    ///
    /// # Errors
    /// The database refused.
    pub async fn bearer_of(&self, token_id: &str) -> Result<Option<Bearer>, DirectoryError> {
        match self
            .valid_token("token_id = $1", text(token_id), now_us())
            .await?
        {
            Some(row) => Ok(Some(self.bearer(&row).await?)),
            None => Ok(None),
        }
    }

    /// Tenant and name of a token, valid or not.
    ///
    /// # Errors
    /// The database refused.
    pub async fn holder_of(&self, token_id: &str) -> Result<Option<(Tenant, String)>, DirectoryError> {
        let row = sqlx::query("SELECT tenant_id, name FROM api_tokens WHERE token_id = $1")
            .bind(text(token_id))
            .fetch_optional(&self.database.pool)
            .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some((self.tenant_by_id(row.try_get(0)?).await?, row.try_get(1)?)))
    }

    async fn valid_token<'q, V>(
        &self,
        condition: &'static str,
        value: V,
        now: i64,
    ) -> Result<Option<AnyRow>, DirectoryError>
    where
        V: sqlx::Encode<'q, sqlx::Any> + sqlx::Type<sqlx::Any> + 'q,
    {
        let sql = format!(
            "SELECT token_id, tenant_id, name, scopes, last_used_at FROM api_tokens
             WHERE {condition} AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(value)
            .bind(now)
            .fetch_optional(&self.database.pool);
        Ok(row.await?)
    }

    async fn bearer(&self, row: &AnyRow) -> Result<Bearer, DirectoryError> {
        let scopes: String = row.try_get(3)?;
        let scopes = scopes
            .split_whitespace()
            .map(str::parse)
            .collect::<Result<_, _>>();
        Ok(Bearer {
            tenant: self.tenant_by_id(row.try_get(1)?).await?,
            credential: Credential::Token {
                token_id: row.try_get(0)?,
                name: row.try_get(2)?,
            },
            scopes: scopes.map_err(|_| DirectoryError::Corrupt("api_tokens.scopes"))?,
        })
    }

    /// The tokens of a tenant, oldest first.
    ///
    /// # Errors
    /// The database refused.
    pub async fn tokens(&self, tenant: &Tenant) -> Result<Vec<TokenEntry>, DirectoryError> {
        let rows = sqlx::query(
            "SELECT token_id, name, scopes, created_at, expires_at, last_used_at, revoked_at FROM api_tokens
             WHERE tenant_id = $1 ORDER BY created_at, token_id",
        )
        .bind(tenant.id)
        .fetch_all(&self.database.pool)
        .await?;
        rows.iter()
            .map(|row| {
                let at = |column: usize| {
                    Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(column)?.map(format_timestamp))
                };
                Ok(TokenEntry {
                    token_id: row.try_get(0)?,
                    name: row.try_get(1)?,
                    scopes: row.try_get(2)?,
                    created_at: format_timestamp(row.try_get(3)?),
                    expires_at: at(4)?,
                    last_used_at: at(5)?,
                    revoked_at: at(6)?,
                })
            })
            .collect()
    }

    /// Revokes a token; false if the tenant has none of this id that is not revoked.
    ///
    /// # Errors
    /// The database refused.
    pub async fn revoke_token(&self, tenant: &Tenant, token_id: &str) -> Result<bool, DirectoryError> {
        let revoked = sqlx::query(
            "UPDATE api_tokens SET revoked_at = $3 WHERE tenant_id = $1 AND token_id = $2 AND revoked_at IS NULL",
        )
        .bind(tenant.id)
        .bind(text(token_id))
        .bind(now_us())
        .execute(&self.database.pool)
        .await?;
        Ok(revoked.rows_affected() > 0)
    }
}

fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_is_understood_as_it_is_written_and_named_where_one_is_not() {
        let unknown = "write:users".parse::<Scope>().unwrap_err().to_string();
        for scope in Scope::ALL {
            assert_eq!(scope.name().parse::<Scope>().unwrap(), scope);
            assert_eq!(serde_json::json!(scope), scope.name());
            assert!(unknown.contains(scope.name()), "{}", scope.name());
        }
    }

    #[tokio::test]
    async fn a_token_keeps_the_scopes_that_it_was_made_with() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(&Directory::in_folder(folder.path()))
            .await
            .unwrap();
        let (tenant, _) = directory.ensure_tenant("acme").await.unwrap();
        let before = BTreeSet::from([Scope::ReadUsers, Scope::CreateExports, Scope::ReadExports]);
        for scopes in [before, Scope::ALL.into_iter().collect()] {
            let token = directory
                .create_token(&tenant, "watcher", &scopes, None)
                .await
                .unwrap();
            let bearer = directory.authenticate(&token.secret).await.unwrap().unwrap();
            assert_eq!(bearer.scopes, scopes);
        }
    }
}
