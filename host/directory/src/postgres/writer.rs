//! Writes a batch of users in one transaction: a statement a table, whatever the number of users.

use std::collections::BTreeSet;

use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, PgPool};

use super::PostgresError;
use crate::record::{Factor, Identity, Secrets, UserRecord};
use crate::writer::{TOKEN_LIFETIME_US, public_connection_id, strategy, token_id};
use crate::{DirectoryError, Tenant, UserWriter};

/// Lends a writer of the tenant's users to `fill`, on a thread of its own. What is written before
/// `fill` fails stays, up to the last full transaction. No transaction is open while `fill` has
/// nothing to write.
///
/// # Errors
/// The database refused, or `fill` failed.
pub async fn write_users<T, E>(
    pool: &PgPool,
    tenant: &Tenant,
    fill: impl FnOnce(&mut UserWriter<'_>) -> Result<T, E> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<DirectoryError> + Send + 'static,
{
    let sink = PostgresSink {
        runtime: tokio::runtime::Handle::current(),
        pool: pool.clone(),
        tenant_id: tenant.id,
    };
    let filled = tokio::task::spawn_blocking(move || {
        let mut writer = UserWriter::postgres(sink);
        let filled = fill(&mut writer)?;
        writer.flush()?;
        Ok(filled)
    });
    filled.await.map_err(DirectoryError::from)?
}

/// Where batches go.
pub(crate) struct PostgresSink {
    runtime: tokio::runtime::Handle,
    pool: PgPool,
    tenant_id: i64,
}

impl PostgresSink {
    /// Writes users, each of another id.
    pub(crate) fn write(&self, mut users: Vec<UserRecord>) -> Result<(), PostgresError> {
        // Two writers lock the same users in the same order, and neither waits for the other forever.
        users.sort_by(|a, b| a.user_id.cmp(&b.user_id));
        self.runtime.block_on(async {
            let mut connection = self.pool.acquire().await?;
            let mut transaction = connection.begin().await?;
            let mut batch = Batch {
                connection: &mut transaction,
                tenant_id: self.tenant_id,
                users: &users,
            };
            batch.users().await?;
            batch.memberships().await?;
            batch.identities().await?;
            batch.secrets().await?;
            Ok(transaction.commit().await?)
        })
    }
}

struct Batch<'b> {
    connection: &'b mut PgConnection,
    tenant_id: i64,
    users: &'b [UserRecord],
}

const UPSERT_USERS: &str = "
    INSERT INTO users (
        tenant_id, user_id, connection_id, username, email, email_verified, phone_number, phone_verified, name,
        given_name, family_name, nickname, picture, locale, state, created_at, updated_at, last_signed_in_at,
        last_ip, logins_count, custom_attributes, app_metadata)
    SELECT $1, n.user_id, c.connection_id, n.username, n.email, n.email_verified, n.phone_number, n.phone_verified,
        n.name, n.given_name, n.family_name, n.nickname, n.picture, n.locale, n.state, n.created_at, n.updated_at,
        n.last_signed_in_at, n.last_ip, n.logins_count, n.custom_attributes::json, n.app_metadata::json
    FROM unnest(
        $2::text[], $3::text[], $4::text[], $5::text[], $6::boolean[], $7::text[], $8::boolean[], $9::text[],
        $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::bigint[], $17::bigint[],
        $18::bigint[], $19::text[], $20::bigint[], $21::text[], $22::text[]
    ) WITH ORDINALITY AS n (
        user_id, connection, username, email, email_verified, phone_number, phone_verified, name,
        given_name, family_name, nickname, picture, locale, state, created_at, updated_at,
        last_signed_in_at, last_ip, logins_count, custom_attributes, app_metadata, place)
    LEFT JOIN connections c ON c.tenant_id = $1 AND c.name = n.connection
    ORDER BY n.place
    ON CONFLICT (tenant_id, user_id) DO UPDATE SET
        connection_id = excluded.connection_id, username = excluded.username, email = excluded.email,
        email_verified = excluded.email_verified, phone_number = excluded.phone_number,
        phone_verified = excluded.phone_verified, name = excluded.name, given_name = excluded.given_name,
        family_name = excluded.family_name, nickname = excluded.nickname, picture = excluded.picture,
        locale = excluded.locale, state = excluded.state, created_at = excluded.created_at,
        updated_at = excluded.updated_at, last_signed_in_at = excluded.last_signed_in_at,
        last_ip = excluded.last_ip, logins_count = excluded.logins_count,
        custom_attributes = excluded.custom_attributes, app_metadata = excluded.app_metadata";

impl<'b> Batch<'b> {
    /// One value of each user, as an array.
    fn each<T>(&self, value: impl Fn(&'b UserRecord) -> T) -> Vec<T> {
        self.users.iter().map(value).collect()
    }

    async fn users(&mut self) -> Result<(), PostgresError> {
        let names: BTreeSet<&str> = self
            .users
            .iter()
            .filter_map(|user| user.connection.as_deref())
            .collect();
        let names: Vec<&str> = names.into_iter().collect();
        let public_ids: Vec<String> = names
            .iter()
            .map(|name| public_connection_id(self.tenant_id, name))
            .collect();
        let strategies: Vec<&str> = names.iter().map(|name| strategy(name)).collect();
        sqlx::query(
            "INSERT INTO connections (tenant_id, public_id, name, strategy)
             SELECT $1, n.public_id, n.name, n.strategy
             FROM unnest($2::text[], $3::text[], $4::text[]) AS n (public_id, name, strategy)
             ON CONFLICT DO NOTHING",
        )
        .bind(self.tenant_id)
        .bind(public_ids)
        .bind(names)
        .bind(strategies)
        .execute(&mut *self.connection)
        .await?;
        sqlx::query(UPSERT_USERS)
            .bind(self.tenant_id)
            .bind(self.each(|user| user.user_id.as_str()))
            .bind(self.each(|user| user.connection.as_deref()))
            .bind(self.each(|user| user.username.as_deref()))
            .bind(self.each(|user| user.email.as_deref()))
            .bind(self.each(|user| user.email_verified))
            .bind(self.each(|user| user.phone_number.as_deref()))
            .bind(self.each(|user| user.phone_verified))
            .bind(self.each(|user| user.name.as_deref()))
            .bind(self.each(|user| user.given_name.as_deref()))
            .bind(self.each(|user| user.family_name.as_deref()))
            .bind(self.each(|user| user.nickname.as_deref()))
            .bind(self.each(|user| user.picture.as_deref()))
            .bind(self.each(|user| user.locale.as_deref()))
            .bind(self.each(|user| user.state.name()))
            .bind(self.each(|user| user.created_at))
            .bind(self.each(|user| user.updated_at))
            .bind(self.each(|user| user.last_signed_in_at))
            .bind(self.each(|user| user.last_ip.as_deref()))
            .bind(self.each(|user| user.logins_count))
            .bind(self.each(|user| user.custom_attributes.as_str()))
            .bind(self.each(|user| user.app_metadata.as_str()))
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }

    async fn memberships(&mut self) -> Result<(), PostgresError> {
        let (mut of, mut users, mut names) = (Vec::new(), Vec::new(), Vec::new());
        for user in self.users {
            let Some(groups) = &user.groups else { continue };
            of.push(user.user_id.as_str());
            for group in groups {
                users.push(user.user_id.as_str());
                names.push(group.as_str());
            }
        }
        self.clear(
            "DELETE FROM memberships WHERE tenant_id = $1 AND user_id = ANY ($2)",
            &of,
        )
        .await?;
        let distinct: BTreeSet<&str> = names.iter().copied().collect();
        sqlx::query(
            "INSERT INTO groups (tenant_id, name) SELECT $1, n.name FROM unnest($2::text[]) AS n (name)
             ON CONFLICT DO NOTHING",
        )
        .bind(self.tenant_id)
        .bind(distinct.into_iter().collect::<Vec<_>>())
        .execute(&mut *self.connection)
        .await?;
        sqlx::query(
            "INSERT INTO memberships (tenant_id, user_id, group_id)
             SELECT $1, n.user_id, g.group_id FROM unnest($2::text[], $3::text[]) AS n (user_id, name)
             JOIN groups g ON g.tenant_id = $1 AND g.name = n.name
             ON CONFLICT DO NOTHING",
        )
        .bind(self.tenant_id)
        .bind(users)
        .bind(names)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    async fn identities(&mut self) -> Result<(), PostgresError> {
        let mut of = Vec::new();
        let mut rows: Vec<(&str, i64, &Identity)> = Vec::new();
        for user in self.users {
            let Some(identities) = &user.identities else {
                continue;
            };
            of.push(user.user_id.as_str());
            rows.extend(
                (0..)
                    .zip(identities)
                    .map(|(at, identity)| (user.user_id.as_str(), at, identity)),
            );
        }
        self.clear(
            "DELETE FROM linked_identities WHERE tenant_id = $1 AND user_id = ANY ($2)",
            &of,
        )
        .await?;
        let token = |token: fn(&Identity) -> Option<&str>| -> Vec<Option<&str>> {
            rows.iter().map(|(_, _, identity)| token(identity)).collect()
        };
        sqlx::query(
            "INSERT INTO linked_identities (
                 tenant_id, user_id, position, connection, provider, subject, access_token, refresh_token, id_token)
             SELECT $1, n.* FROM unnest(
                 $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[]) n",
        )
        .bind(self.tenant_id)
        .bind(rows.iter().map(|row| row.0).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.1).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.2.connection.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.2.provider.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.2.subject.as_str()).collect::<Vec<_>>())
        .bind(token(|identity| identity.access_token.as_deref()))
        .bind(token(|identity| identity.refresh_token.as_deref()))
        .bind(token(|identity| identity.id_token.as_deref()))
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    async fn secrets(&mut self) -> Result<(), PostgresError> {
        let of: Vec<(&UserRecord, &Secrets)> = self
            .users
            .iter()
            .filter_map(|user| Some((user, user.secrets.as_ref()?)))
            .collect();
        let ids: Vec<&str> = of.iter().map(|(user, _)| user.user_id.as_str()).collect();
        for delete in [
            "DELETE FROM password_credentials WHERE tenant_id = $1 AND user_id = ANY ($2)",
            "DELETE FROM mfa_factors WHERE tenant_id = $1 AND user_id = ANY ($2)",
            "DELETE FROM refresh_tokens WHERE tenant_id = $1 AND user_id = ANY ($2)",
        ] {
            self.clear(delete, &ids).await?;
        }
        self.passwords(&of).await?;
        self.factors(&of).await?;
        self.tokens(&of).await
    }

    async fn passwords(&mut self, of: &[(&UserRecord, &Secrets)]) -> Result<(), PostgresError> {
        let rows: Vec<(&UserRecord, &(String, String))> = of
            .iter()
            .filter_map(|(user, secrets)| Some((*user, secrets.password.as_ref()?)))
            .collect();
        sqlx::query(
            "INSERT INTO password_credentials (tenant_id, user_id, algorithm, password_hash, changed_at)
             SELECT $1, n.* FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[]) n",
        )
        .bind(self.tenant_id)
        .bind(
            rows.iter()
                .map(|(user, _)| user.user_id.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(
            rows.iter()
                .map(|(_, password)| password.0.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(
            rows.iter()
                .map(|(_, password)| password.1.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(rows.iter().map(|(user, _)| user.updated_at).collect::<Vec<_>>())
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    async fn factors(&mut self, of: &[(&UserRecord, &Secrets)]) -> Result<(), PostgresError> {
        let rows: Vec<(&UserRecord, i64, &Factor)> = of
            .iter()
            .flat_map(|(user, secrets)| {
                (0..)
                    .zip(&secrets.factors)
                    .map(|(at, factor)| (*user, at, factor))
            })
            .collect();
        let kinds: Vec<&str> = rows.iter().map(|(_, _, factor)| factor.kind()).collect();
        // One of four columns has the secret, by its kind.
        let secret_of = |kind: &str| -> Vec<Option<&str>> {
            rows.iter()
                .map(|(_, _, factor)| (factor.kind() == kind).then(|| factor.secret()))
                .collect()
        };
        sqlx::query(
            "INSERT INTO mfa_factors (
                 tenant_id, user_id, position, kind, totp_secret, webauthn_key, phone_number, recovery_codes,
                 confirmed_at)
             SELECT $1, n.* FROM unnest(
                 $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bigint[]) n",
        )
        .bind(self.tenant_id)
        .bind(rows.iter().map(|(user, _, _)| user.user_id.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, at, _)| *at).collect::<Vec<_>>())
        .bind(&kinds)
        .bind(secret_of("totp"))
        .bind(secret_of("webauthn"))
        .bind(secret_of("sms"))
        .bind(secret_of("recovery"))
        .bind(rows.iter().map(|(user, _, _)| user.updated_at).collect::<Vec<_>>())
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    async fn tokens(&mut self, of: &[(&UserRecord, &Secrets)]) -> Result<(), PostgresError> {
        let rows: Vec<(&UserRecord, &str)> = of
            .iter()
            .flat_map(|(user, secrets)| secrets.refresh_tokens.iter().map(|token| (*user, token.as_str())))
            .collect();
        let token_ids: Vec<String> = rows
            .iter()
            .map(|(user, token)| token_id(self.tenant_id, &user.user_id, token))
            .collect();
        sqlx::query(
            "INSERT INTO refresh_tokens (tenant_id, token_id, user_id, client_id, token, created_at, expires_at)
             SELECT $1, n.token_id, n.user_id, 'console', n.token, n.created_at, n.created_at + $6
             FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[]) AS n (token_id, user_id, token, created_at)",
        )
        .bind(self.tenant_id)
        .bind(token_ids)
        .bind(rows.iter().map(|(user, _)| user.user_id.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, token)| *token).collect::<Vec<_>>())
        .bind(rows.iter().map(|(user, _)| user.updated_at).collect::<Vec<_>>())
        .bind(TOKEN_LIFETIME_US)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    async fn clear(&mut self, delete: &'static str, users: &[&str]) -> Result<(), PostgresError> {
        sqlx::query(delete)
            .bind(self.tenant_id)
            .bind(users)
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }
}
