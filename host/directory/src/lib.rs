//! The users of every tenant, and the tables of jobs, tokens and audit.
//!
//! [`Directory`] is one SQLite database in one folder. [`Directory::snapshot`] reads the users of
//! a tenant as one consistent state, straight into columns; [`Directory::write_users`] fills it.
//! Everything else is small rows: [`jobs`], [`plugins`], [`tokens`], [`audit`].

pub mod audit;
mod error;
pub mod filter;
pub mod generate;
pub mod import;
pub mod jobs;
pub mod plugins;
pub mod postgres;
mod record;
mod source;
mod sqlite;
mod tenants;
mod time;
pub mod tokens;
mod writer;

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

pub use error::DirectoryError;
pub use record::{Factor, Identity, Secrets, UserRecord, UserState};
pub use source::{Snapshot, SourceError};
pub use tenants::Tenant;
pub use time::{format_timestamp, now_us, parse_instant};
pub use writer::{UserWriter, Written};

/// Name of the database in the data folder.
const DATABASE_FILE: &str = "exeat.db";
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_CONNECTIONS: u32 = 8;

/// The database and the folder that it lies in.
#[derive(Clone, Debug)]
pub struct Directory {
    pool: SqlitePool,
    folder: PathBuf,
}

impl Directory {
    /// Opens the directory in a folder; creates both where they are missing.
    ///
    /// # Errors
    /// The folder cannot be created, or the database cannot be opened or brought up to date.
    pub async fn open(folder: &Path) -> Result<Self, DirectoryError> {
        std::fs::create_dir_all(folder).map_err(|source| DirectoryError::Folder {
            folder: folder.to_owned(),
            source,
        })?;
        let options = SqliteConnectOptions::new()
            .filename(folder.join(DATABASE_FILE))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true);
        let pool = SqlitePoolOptions::new()
            .max_connections(MAX_CONNECTIONS)
            .connect_with(options)
            .await?;
        sqlx::migrate!().run(&pool).await?;
        Ok(Self {
            pool,
            folder: folder.to_owned(),
        })
    }

    /// Whether a folder holds a directory.
    pub fn exists(folder: &Path) -> bool {
        folder.join(DATABASE_FILE).is_file()
    }

    /// The folder in which everything lies.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Waits for open connections to close, so that the database is left in one file.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
