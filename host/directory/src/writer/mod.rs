//! Fills the directory: many users, few transactions.

pub(crate) mod sqlite;

use std::collections::HashMap;

use data_encoding::BASE32_NOPAD;
use sha2::{Digest as _, Sha256};

use crate::DirectoryError;
use crate::postgres::PostgresSink;
use crate::record::UserRecord;
use sqlite::SqliteSink;

/// Users of one transaction. More would hold the WAL for longer than it saves.
const USERS_PER_TRANSACTION: usize = 5_000;
/// How long a refresh token lives that came with a user.
pub(crate) const TOKEN_LIFETIME_US: i64 = 30 * 86_400_000_000;

/// How many users were written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Users.
    pub users: u64,
}

/// Writes users of one tenant. They are collected, and written a transaction at a time: nothing is
/// locked while whoever fills it waits for more.
pub struct UserWriter<'c> {
    sink: Sink<'c>,
    batch: Vec<UserRecord>,
    /// Places in the batch by id: a transaction writes a user once.
    places: HashMap<String, usize>,
    written: Written,
}

enum Sink<'c> {
    Sqlite(Box<SqliteSink<'c>>),
    Postgres(PostgresSink),
}

impl std::fmt::Debug for UserWriter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserWriter")
            .field("written", &self.written)
            .finish_non_exhaustive()
    }
}

impl<'c> UserWriter<'c> {
    fn sqlite(sink: SqliteSink<'c>) -> Self {
        Self::to(Sink::Sqlite(Box::new(sink)))
    }

    pub(crate) fn postgres(sink: PostgresSink) -> Self {
        Self::to(Sink::Postgres(sink))
    }

    fn to(sink: Sink<'c>) -> Self {
        Self {
            sink,
            batch: Vec::new(),
            places: HashMap::new(),
            written: Written::default(),
        }
    }

    /// Writes a user, or overwrites the one of the same id. It may wait for others to be written
    /// with them.
    ///
    /// # Errors
    /// The database refused this user or one before.
    pub fn write(&mut self, user: &UserRecord) -> Result<(), DirectoryError> {
        let mut user = user.clone();
        match self.places.get(&user.user_id) {
            Some(place) => {
                let earlier = &mut self.batch[*place];
                // What is not given stays as it is: as the earlier one left it.
                user.groups = user.groups.or_else(|| earlier.groups.take());
                user.identities = user.identities.or_else(|| earlier.identities.take());
                user.secrets = user.secrets.or_else(|| earlier.secrets.take());
                *earlier = user;
            }
            None => {
                self.places.insert(user.user_id.clone(), self.batch.len());
                self.batch.push(user);
            }
        }
        self.written.users += 1;
        if self.batch.len() == USERS_PER_TRANSACTION {
            self.flush()?;
        }
        Ok(())
    }

    /// How many users were taken so far.
    pub fn written(&self) -> Written {
        self.written
    }

    /// Writes what was collected.
    pub(crate) fn flush(&mut self) -> Result<(), DirectoryError> {
        let batch = std::mem::take(&mut self.batch);
        self.places.clear();
        if batch.is_empty() {
            return Ok(());
        }
        match &mut self.sink {
            Sink::Sqlite(sink) => sink.write(&batch)?,
            Sink::Postgres(sink) => sink.write(batch)?,
        }
        Ok(())
    }
}

/// What kind of connection it is, as far as its name tells.
pub(crate) fn strategy(connection: &str) -> &'static str {
    if connection.contains("google") {
        "google-oauth2"
    } else {
        "database"
    }
}

/// The user's id and 24 letters or digits, the same for the same token of the same tenant. Users who
/// are written in the order of their ids have their tokens written in that order, too: a table of
/// millions that is filled at random places is filled many times slower.
pub(crate) fn token_id(tenant_id: i64, user_id: &str, token: &str) -> String {
    let digest = Sha256::digest(format!("exeat refresh token\0{tenant_id}\0{token}"));
    format!("{user_id}.{}", BASE32_NOPAD.encode(&digest[..15]))
}

/// `con_` and 16 letters or digits, the same for the same connection of the same tenant.
pub(crate) fn public_connection_id(tenant_id: i64, name: &str) -> String {
    let digest = Sha256::digest(format!("exeat connection\0{tenant_id}\0{name}"));
    format!("con_{}", BASE32_NOPAD.encode(&digest[..10]))
}
