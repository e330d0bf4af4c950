//! What can go wrong with the directory itself.

use std::path::PathBuf;

use sqlx::migrate::MigrateError;
use thiserror::Error;

/// The directory cannot do what it was asked. Messages never quote a user's values.
#[derive(Debug, Error)]
pub enum DirectoryError {
    /// The data folder cannot be used.
    #[error("the data folder {} cannot be used", .folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The database refused.
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
    /// The database cannot be brought up to date.
    #[error("the database cannot be brought up to date")]
    Migration(#[from] MigrateError),
    /// SQLite refused a statement that is stepped directly.
    #[error("the database refused: {0}")]
    Sqlite(#[from] crate::sqlite::SqliteError),
    /// PostgreSQL refused a statement over users.
    #[error(transparent)]
    Postgres(#[from] crate::postgres::PostgresError),
    /// There is no such tenant.
    #[error("there is no tenant \"{0}\"")]
    UnknownTenant(String),
    /// A tenant cannot have this name.
    #[error("a tenant's name is 1 to 64 letters, digits, hyphens and underscores, and begins with no hyphen")]
    TenantName,
    /// A version is not a semantic version.
    #[error("a plugin's version is a semantic version, such as 1.2.0")]
    PluginVersion,
    /// What a column holds is not what it must hold: someone else wrote to the database.
    #[error("the database holds something unexpected in {0}")]
    Corrupt(&'static str),
    /// A task of ours died.
    #[error("an internal task failed")]
    Task(#[from] tokio::task::JoinError),
    /// No randomness is to be had from the operating system.
    #[error("the operating system gives no random bytes")]
    Random,
}

impl DirectoryError {
    /// Whether the same may succeed when it is tried again: a connection was lost, the database was
    /// busy or restarting.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Database(error) => crate::postgres::is_transient(error),
            Self::Migration(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => {
                crate::postgres::is_transient(error)
            }
            Self::Sqlite(error) => error.is_busy(),
            Self::Postgres(error) => error.is_transient(),
            _ => false,
        }
    }
}
