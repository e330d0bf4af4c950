//! The users of every tenant, and the tables of jobs, tokens, plugins and audit.
//!
//! [`Directory`] is one database: a SQLite file, or PostgreSQL ([`DatabaseUrl`]).
//! [`Directory::snapshot`] reads the users of a tenant as one consistent state, straight into
//! columns; [`Directory::write_users`] fills it. Everything else is small rows: [`jobs`],
//! [`plugins`], [`tokens`], [`links`], [`presets`], [`webhooks`], [`audit`].

pub mod audit;
mod database;
mod error;
pub mod filter;
pub mod generate;
pub mod import;
pub mod jobs;
pub mod links;
pub mod plugins;
pub mod postgres;
pub mod presets;
mod record;
mod source;
mod sqlite;
mod tenants;
mod time;
pub mod tokens;
mod users;
pub mod webhooks;
mod writer;

use std::path::Path;

use sqlx::{ConnectOptions as _, SqliteConnection};

pub use database::{DatabaseUrl, DatabaseUrlError};
pub use error::DirectoryError;
pub use record::{Factor, Identity, Secrets, UserRecord, UserState};
pub use source::{Counting, Snapshot, SourceError};
pub use tenants::Tenant;
pub use time::{format_timestamp, now_us, parse_instant};
pub use writer::{UserWriter, Written};

use database::{Database, sqlite_options};
use postgres::PostgresUsers;
use users::Users;

/// Name of the database in a data folder.
const DATABASE_FILE: &str = "exeat.db";

/// The database.
#[derive(Clone, Debug)]
pub struct Directory {
    pub(crate) database: Database,
    /// Where users are read and written, of which there are many.
    users: Users,
    /// A platform's database, if users are read from there.
    platform: Option<PostgresUsers>,
}

impl Directory {
    /// Opens a database, creates it if it is a file that is missing, and brings it up to date.
    ///
    /// # Errors
    /// The database cannot be opened or brought up to date.
    pub async fn open(url: &DatabaseUrl) -> Result<Self, DirectoryError> {
        let database = Database::open(url).await?;
        let users = Users::of(url)?;
        Ok(Self {
            database,
            users,
            platform: None,
        })
    }

    /// The database that lies in a data folder, if no other is named.
    pub fn in_folder(folder: &Path) -> DatabaseUrl {
        DatabaseUrl::Sqlite(folder.join(DATABASE_FILE))
    }

    /// Whether a database is there to be opened. Of one on a server, nobody knows before asking.
    pub fn exists(url: &DatabaseUrl) -> bool {
        match url {
            DatabaseUrl::Sqlite(file) => file.is_file(),
            DatabaseUrl::Postgres(_) => true,
        }
    }

    /// Waits for open connections to close, so that SQLite's database is left in one file.
    pub async fn close(&self) {
        self.database.pool.close().await;
        if let Users::Postgres(pool, _) = &self.users {
            pool.close().await;
        }
    }
}

/// A connection of one's own, for reading or writing users.
async fn sqlite_connection(file: &Path) -> Result<SqliteConnection, DirectoryError> {
    Ok(sqlite_options(file)?.connect().await?)
}
