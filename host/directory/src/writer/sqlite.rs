//! Writes users to SQLite: prepared statements, stepped in place.

use std::collections::HashMap;
use std::path::Path;

use sqlx::Connection as _;

use super::{TOKEN_LIFETIME_US, UserWriter, public_connection_id, strategy, token_id};
use crate::record::{Factor, UserRecord};
use crate::sqlite::{RawConnection, SqliteError, Statement};
use crate::{DirectoryError, Tenant};

const UPSERT_USER: &str = "
    INSERT INTO users (
        tenant_id, user_id, connection_id, username, email, email_verified, phone_number, phone_verified, name,
        given_name, family_name, nickname, picture, locale, state, created_at, updated_at, last_signed_in_at,
        last_ip, logins_count, custom_attributes, app_metadata
    ) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22)
    ON CONFLICT (tenant_id, user_id) DO UPDATE SET
        connection_id = excluded.connection_id, username = excluded.username, email = excluded.email,
        email_verified = excluded.email_verified, phone_number = excluded.phone_number,
        phone_verified = excluded.phone_verified, name = excluded.name, given_name = excluded.given_name,
        family_name = excluded.family_name, nickname = excluded.nickname, picture = excluded.picture,
        locale = excluded.locale, state = excluded.state, created_at = excluded.created_at,
        updated_at = excluded.updated_at, last_signed_in_at = excluded.last_signed_in_at,
        last_ip = excluded.last_ip, logins_count = excluded.logins_count,
        custom_attributes = excluded.custom_attributes, app_metadata = excluded.app_metadata";

/// Lends a writer of the tenant's users to `fill`, on a thread of its own.
pub(crate) async fn write_users<T, E>(
    file: &Path,
    tenant: &Tenant,
    fill: impl FnOnce(&mut UserWriter<'_>) -> Result<T, E> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<DirectoryError> + Send + 'static,
{
    let mut connection = crate::sqlite_connection(file).await?;
    let tenant_id = tenant.id;
    let runtime = tokio::runtime::Handle::current();
    let filled = tokio::task::spawn_blocking(move || {
        let filled = {
            let mut lock = runtime
                .block_on(connection.lock_handle())
                .map_err(DirectoryError::from)?;
            let raw = RawConnection::new(&mut lock);
            fill_in_transactions(&raw, tenant_id, fill)
        };
        runtime
            .block_on(connection.close())
            .map_err(DirectoryError::from)?;
        filled
    });
    filled.await.map_err(DirectoryError::from)?
}

fn fill_in_transactions<T, E: From<DirectoryError>>(
    raw: &RawConnection<'_>,
    tenant_id: i64,
    fill: impl FnOnce(&mut UserWriter<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let sink = SqliteSink::new(raw, tenant_id).map_err(DirectoryError::from)?;
    let mut writer = UserWriter::sqlite(sink);
    let filled = fill(&mut writer)?;
    writer.flush()?;
    Ok(filled)
}

/// Where batches go.
pub(super) struct SqliteSink<'c> {
    raw: &'c RawConnection<'c>,
    tenant_id: i64,
    connections: HashMap<String, i64>,
    groups: HashMap<String, i64>,
    upsert_user: Statement<'c>,
    delete: Vec<Statement<'c>>,
    insert_membership: Statement<'c>,
    insert_identity: Statement<'c>,
    insert_password: Statement<'c>,
    insert_factor: Statement<'c>,
    insert_token: Statement<'c>,
}

/// What hangs on a user, in the order of [`SqliteSink::delete`].
#[derive(Clone, Copy)]
enum Child {
    Memberships,
    Identities,
    Passwords,
    Factors,
    Tokens,
}

const DELETE_CHILDREN: [&str; 5] = [
    "DELETE FROM memberships WHERE tenant_id = ?1 AND user_id = ?2",
    "DELETE FROM linked_identities WHERE tenant_id = ?1 AND user_id = ?2",
    "DELETE FROM password_credentials WHERE tenant_id = ?1 AND user_id = ?2",
    "DELETE FROM mfa_factors WHERE tenant_id = ?1 AND user_id = ?2",
    "DELETE FROM refresh_tokens WHERE tenant_id = ?1 AND user_id = ?2",
];

impl<'c> SqliteSink<'c> {
    fn new(raw: &'c RawConnection<'c>, tenant_id: i64) -> Result<Self, SqliteError> {
        Ok(Self {
            raw,
            tenant_id,
            connections: HashMap::new(),
            groups: HashMap::new(),
            upsert_user: raw.prepare(UPSERT_USER)?,
            delete: DELETE_CHILDREN
                .iter()
                .map(|sql| raw.prepare(sql))
                .collect::<Result<_, _>>()?,
            insert_membership: raw.prepare("INSERT OR IGNORE INTO memberships VALUES (?1, ?2, ?3)")?,
            insert_identity: raw
                .prepare("INSERT INTO linked_identities VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?,
            insert_password: raw.prepare("INSERT INTO password_credentials VALUES (?1, ?2, ?3, ?4, ?5)")?,
            insert_factor: raw
                .prepare("INSERT INTO mfa_factors VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?,
            insert_token: raw.prepare("INSERT INTO refresh_tokens VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?,
        })
    }

    /// Writes users in one transaction.
    pub(super) fn write(&mut self, users: &[UserRecord]) -> Result<(), SqliteError> {
        self.raw.execute("BEGIN IMMEDIATE")?;
        let written = users.iter().try_for_each(|user| {
            self.write_user(user)?;
            self.write_groups(user)?;
            self.write_identities(user)?;
            self.write_secrets(user)
        });
        let ended = written.and_then(|()| self.raw.execute("COMMIT"));
        if ended.is_err() {
            // What refused first is what is told. Keys that were new may be gone.
            let _ = self.raw.execute("ROLLBACK");
            self.connections.clear();
            self.groups.clear();
        }
        ended
    }

    fn write_user(&mut self, user: &UserRecord) -> Result<(), SqliteError> {
        let connection_id = match &user.connection {
            Some(name) => Some(self.connection_id(name)?),
            None => None,
        };
        let upsert = &mut self.upsert_user;
        upsert.bind_i64(1, self.tenant_id)?;
        upsert.bind_text(2, &user.user_id)?;
        bind_optional_int(upsert, 3, connection_id)?;
        bind_optional(upsert, 4, user.username.as_deref())?;
        bind_optional(upsert, 5, user.email.as_deref())?;
        upsert.bind_i64(6, user.email_verified.into())?;
        bind_optional(upsert, 7, user.phone_number.as_deref())?;
        upsert.bind_i64(8, user.phone_verified.into())?;
        bind_optional(upsert, 9, user.name.as_deref())?;
        bind_optional(upsert, 10, user.given_name.as_deref())?;
        bind_optional(upsert, 11, user.family_name.as_deref())?;
        bind_optional(upsert, 12, user.nickname.as_deref())?;
        bind_optional(upsert, 13, user.picture.as_deref())?;
        bind_optional(upsert, 14, user.locale.as_deref())?;
        upsert.bind_text(15, user.state.name())?;
        upsert.bind_i64(16, user.created_at)?;
        upsert.bind_i64(17, user.updated_at)?;
        bind_optional_int(upsert, 18, user.last_signed_in_at)?;
        bind_optional(upsert, 19, user.last_ip.as_deref())?;
        upsert.bind_i64(20, user.logins_count)?;
        upsert.bind_text(21, &user.custom_attributes)?;
        upsert.bind_text(22, &user.app_metadata)?;
        upsert.run()
    }

    fn write_groups(&mut self, user: &UserRecord) -> Result<(), SqliteError> {
        let Some(groups) = &user.groups else { return Ok(()) };
        self.clear(Child::Memberships, &user.user_id)?;
        for name in groups {
            let group_id = self.group_id(name)?;
            let insert = &mut self.insert_membership;
            insert.bind_i64(1, self.tenant_id)?;
            insert.bind_text(2, &user.user_id)?;
            insert.bind_i64(3, group_id)?;
            insert.run()?;
        }
        Ok(())
    }

    fn write_identities(&mut self, user: &UserRecord) -> Result<(), SqliteError> {
        let Some(identities) = &user.identities else {
            return Ok(());
        };
        self.clear(Child::Identities, &user.user_id)?;
        for (position, identity) in (0..).zip(identities) {
            let insert = &mut self.insert_identity;
            insert.bind_i64(1, self.tenant_id)?;
            insert.bind_text(2, &user.user_id)?;
            insert.bind_i64(3, position)?;
            insert.bind_text(4, &identity.connection)?;
            insert.bind_text(5, &identity.provider)?;
            insert.bind_text(6, &identity.subject)?;
            bind_optional(insert, 7, identity.access_token.as_deref())?;
            bind_optional(insert, 8, identity.refresh_token.as_deref())?;
            bind_optional(insert, 9, identity.id_token.as_deref())?;
            insert.run()?;
        }
        Ok(())
    }

    fn write_secrets(&mut self, user: &UserRecord) -> Result<(), SqliteError> {
        let Some(secrets) = &user.secrets else {
            return Ok(());
        };
        for child in [Child::Passwords, Child::Factors, Child::Tokens] {
            self.clear(child, &user.user_id)?;
        }
        if let Some((algorithm, hash)) = &secrets.password {
            let insert = &mut self.insert_password;
            insert.bind_i64(1, self.tenant_id)?;
            insert.bind_text(2, &user.user_id)?;
            insert.bind_text(3, algorithm)?;
            insert.bind_text(4, hash)?;
            insert.bind_i64(5, user.updated_at)?;
            insert.run()?;
        }
        for (position, factor) in (0..).zip(&secrets.factors) {
            let insert = &mut self.insert_factor;
            insert.bind_i64(1, self.tenant_id)?;
            insert.bind_text(2, &user.user_id)?;
            insert.bind_i64(3, position)?;
            (5..=8).try_for_each(|parameter| insert.bind_null(parameter))?;
            let parameter = match factor {
                Factor::Totp { .. } => 5,
                Factor::WebAuthn { .. } => 6,
                Factor::Sms { .. } => 7,
                Factor::Recovery { .. } => 8,
            };
            insert.bind_text(4, factor.kind())?;
            insert.bind_text(parameter, factor.secret())?;
            insert.bind_i64(9, user.updated_at)?;
            insert.run()?;
        }
        for token in &secrets.refresh_tokens {
            let token_id = token_id(self.tenant_id, &user.user_id, token);
            let insert = &mut self.insert_token;
            insert.bind_text(1, &token_id)?;
            insert.bind_i64(2, self.tenant_id)?;
            insert.bind_text(3, &user.user_id)?;
            insert.bind_text(4, "console")?;
            insert.bind_text(5, token)?;
            insert.bind_i64(6, user.updated_at)?;
            insert.bind_i64(7, user.updated_at + TOKEN_LIFETIME_US)?;
            insert.run()?;
        }
        Ok(())
    }

    fn clear(&mut self, child: Child, user_id: &str) -> Result<(), SqliteError> {
        let delete = &mut self.delete[child as usize];
        delete.bind_i64(1, self.tenant_id)?;
        delete.bind_text(2, user_id)?;
        delete.run()
    }

    fn connection_id(&mut self, name: &str) -> Result<i64, SqliteError> {
        if let Some(id) = self.connections.get(name) {
            return Ok(*id);
        }
        let public_id = public_connection_id(self.tenant_id, name);
        let mut insert = self.raw.prepare(
            "INSERT INTO connections (tenant_id, public_id, name, strategy) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO NOTHING",
        )?;
        insert.bind_i64(1, self.tenant_id)?;
        insert.bind_text(2, &public_id)?;
        insert.bind_text(3, name)?;
        insert.bind_text(4, strategy(name))?;
        insert.run()?;
        let id = self.id_of(
            "SELECT connection_id FROM connections WHERE tenant_id = ?1 AND name = ?2",
            name,
        )?;
        self.connections.insert(name.to_owned(), id);
        Ok(id)
    }

    fn group_id(&mut self, name: &str) -> Result<i64, SqliteError> {
        if let Some(id) = self.groups.get(name) {
            return Ok(*id);
        }
        let mut insert = self
            .raw
            .prepare("INSERT INTO groups (tenant_id, name) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?;
        insert.bind_i64(1, self.tenant_id)?;
        insert.bind_text(2, name)?;
        insert.run()?;
        let id = self.id_of(
            "SELECT group_id FROM groups WHERE tenant_id = ?1 AND name = ?2",
            name,
        )?;
        self.groups.insert(name.to_owned(), id);
        Ok(id)
    }

    fn id_of(&self, sql: &str, name: &str) -> Result<i64, SqliteError> {
        let mut select = self.raw.prepare(sql)?;
        select.bind_i64(1, self.tenant_id)?;
        select.bind_text(2, name)?;
        select.step()?;
        Ok(select.int(0).unwrap_or_default())
    }
}

fn bind_optional(
    statement: &mut Statement<'_>,
    parameter: i32,
    value: Option<&str>,
) -> Result<(), SqliteError> {
    match value {
        Some(value) => statement.bind_text(parameter, value),
        None => statement.bind_null(parameter),
    }
}

fn bind_optional_int(
    statement: &mut Statement<'_>,
    parameter: i32,
    value: Option<i64>,
) -> Result<(), SqliteError> {
    match value {
        Some(value) => statement.bind_i64(parameter, value),
        None => statement.bind_null(parameter),
    }
}
