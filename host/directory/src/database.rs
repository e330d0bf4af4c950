//! Which database, and what differs between the two that there are.
//!
//! Small tables (jobs, tokens, plugins, audit) are read and written with one SQL text for both:
//! parameters are `$1`, `$2`, …, integers are 64 bits wide, JSON is text. What cannot be one text is
//! in [`Dialect`]. Users, of which there are many, have a way of their own in each database.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Any, AnyPool, ConnectOptions as _, Connection as _, Executor as _, Transaction};
use thiserror::Error;

use crate::DirectoryError;

/// How long a writer of SQLite waits for another one.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);
/// Connections of one process for small rows.
const MAX_CONNECTIONS: u32 = 8;
/// Lets PostgreSQL notice within a minute that a machine is gone, and let go of the rows that it had
/// locked: its workers may be the ones that hold up all others. The system's default is two hours.
const KEEPALIVE: &str =
    "SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3";
/// How long somebody waits for one of them.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

/// Where the database is: `sqlite:PATH`, or `postgres://USER:PASSWORD@HOST/NAME`.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A file.
    Sqlite(PathBuf),
    /// A server; the URL as it was given.
    Postgres(String),
}

/// A database URL is none.
#[derive(Debug, Error)]
#[error("a database is sqlite:PATH or postgres://USER:PASSWORD@HOST:PORT/NAME")]
pub struct DatabaseUrlError;

impl FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;

    fn from_str(text: &str) -> Result<Self, DatabaseUrlError> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return match path {
                "" => Err(DatabaseUrlError),
                path => Ok(Self::Sqlite(path.into())),
            };
        }
        if text.starts_with("postgres:") || text.starts_with("postgresql:") {
            return match text.parse::<PgConnectOptions>() {
                Ok(_) => Ok(Self::Postgres(text.to_owned())),
                Err(_) => Err(DatabaseUrlError),
            };
        }
        Err(DatabaseUrlError)
    }
}

/// Shows no password.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => {
                let options: PgConnectOptions = url.parse().map_err(|_| fmt::Error)?;
                let database = options.get_database().unwrap_or_default();
                write!(
                    f,
                    "postgres://{}:{}/{database}",
                    options.get_host(),
                    options.get_port()
                )
            }
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What the two databases say differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    /// The database's own clock, in microseconds since 1970-01-01T00:00:00Z. Leases are counted by
    /// it, so that the clocks of workers need not agree.
    pub(crate) fn now(self) -> &'static str {
        match self {
            Self::Sqlite => "CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
            Self::Postgres => "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)",
        }
    }

    /// Begins a transaction that writes. SQLite has one writer at a time, and says so now.
    fn begin(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
            Self::Postgres => "BEGIN",
        }
    }

    /// Locks the rows of the table `j` that a query finds, passing over those that others have
    /// locked. In SQLite the transaction is the lock.
    pub(crate) fn skip_locked(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => "FOR UPDATE OF j SKIP LOCKED",
        }
    }
}

/// The connections for small rows.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    pub(crate) pool: AnyPool,
    pub(crate) dialect: Dialect,
}

impl Database {
    /// Opens the database and brings it up to date. Several processes may do so at once.
    pub(crate) async fn open(url: &DatabaseUrl) -> Result<Self, DirectoryError> {
        // The drivers can be installed once; again is an error, and no harm.
        let _ = sqlx::any::install_drivers(&[sqlx::sqlite::any::DRIVER, sqlx::postgres::any::DRIVER]);
        let options = AnyPoolOptions::new()
            .max_connections(MAX_CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT);
        let (pool, dialect) = match url {
            DatabaseUrl::Sqlite(file) => {
                // Journal mode is kept in the file; whoever opens it first sets it.
                set_journal_mode(file).await?;
                let options = options.after_connect(|connection, _| {
                    Box::pin(async move {
                        let busy = BUSY_TIMEOUT.as_millis();
                        let pragmas = format!("PRAGMA busy_timeout = {busy}; PRAGMA synchronous = NORMAL");
                        connection.execute(sqlx::AssertSqlSafe(pragmas)).await?;
                        Ok(())
                    })
                });
                (
                    options.connect_with(any_sqlite_options(file)?).await?,
                    Dialect::Sqlite,
                )
            }
            DatabaseUrl::Postgres(url) => {
                let connect = url.parse::<AnyConnectOptions>()?;
                // A pool tries again for as long as anybody may wait, and then does not say why. Whoever
                // opens a database hears it at once.
                connect.connect().await?.close().await?;
                let options = options.after_connect(|connection, _| {
                    Box::pin(async move {
                        connection.execute(KEEPALIVE).await?;
                        Ok(())
                    })
                });
                (options.connect_with(connect).await?, Dialect::Postgres)
            }
        };
        let database = Self { pool, dialect };
        match dialect {
            // Nothing to write: nobody who writes is in the way.
            Dialect::Sqlite if is_up_to_date(&database.pool).await => SQLITE.run(&database.pool).await?,
            Dialect::Sqlite => {
                // sqlx keeps others away on PostgreSQL alone; here a transaction around all does.
                let mut transaction = database.begin().await?;
                // Not `run`: the compiler cannot tell that its future is `Send`.
                SQLITE.run_direct(None, &mut *transaction, false).await?;
                transaction.commit().await?;
            }
            Dialect::Postgres => POSTGRES.run(&database.pool).await?,
        }
        Ok(database)
    }

    /// Begins a transaction that writes.
    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Any>, DirectoryError> {
        Ok(self.pool.begin_with(self.dialect.begin()).await?)
    }

    /// Begins a transaction that changes what belongs to one tenant: no other such transaction runs
    /// at the same time, so that what is counted stays true.
    pub(crate) async fn begin_for(
        &self,
        tenant_id: i64,
    ) -> Result<Transaction<'static, Any>, DirectoryError> {
        let mut transaction = self.begin().await?;
        if self.dialect == Dialect::Postgres {
            sqlx::query("SELECT tenant_id FROM tenants WHERE tenant_id = $1 FOR NO KEY UPDATE")
                .bind(tenant_id)
                .execute(&mut *transaction)
                .await?;
        }
        Ok(transaction)
    }
}

/// Makes a file that is missing. SQLite waits for nobody who does the same at the same time.
async fn set_journal_mode(file: &Path) -> Result<(), DirectoryError> {
    let connect = async || Ok(sqlite_options(file)?.connect().await.map(drop)?);
    let again = ExponentialBuilder::default()
        .with_jitter()
        .with_min_delay(Duration::from_millis(5))
        .with_max_delay(Duration::from_millis(100))
        .without_max_times()
        .with_total_delay(Some(BUSY_TIMEOUT));
    connect.retry(again).when(DirectoryError::is_transient).await
}

/// Whether every migration of SQLite's was run.
async fn is_up_to_date(pool: &AnyPool) -> bool {
    let newest = SQLITE.iter().map(|migration| migration.version).max();
    let run: Result<Option<i64>, _> = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations")
        .fetch_one(pool)
        .await;
    // In a fresh file there is no such table.
    run.is_ok_and(|run| run >= newest)
}

/// Text as both databases take it: PostgreSQL has none with a zero byte in it. An id with one is
/// then an id that nothing has.
pub(crate) fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// How a connection to a SQLite file is opened through the driver for either database.
fn any_sqlite_options(file: &Path) -> Result<AnyConnectOptions, DirectoryError> {
    let options = sqlite_options(file)?;
    // sqlx takes a percent sign for the beginning of an escape, and does not escape it.
    let escaped = options
        .get_filename()
        .to_str()
        .map(|path| path.replace('%', "%25"));
    let options = match escaped {
        Some(path) => options.filename(path),
        None => options,
    };
    Ok(AnyConnectOptions::from_url(&options.to_url_lossy())?)
}

/// How a connection to a SQLite file is opened.
pub(crate) fn sqlite_options(file: &Path) -> Result<SqliteConnectOptions, DirectoryError> {
    let folder_error = |source| DirectoryError::Folder {
        folder: file.to_owned(),
        source,
    };
    let file = std::path::absolute(file).map_err(folder_error)?;
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(folder_error)?;
    }
    Ok(SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true))
}

#[cfg(test)]
mod tests {
    use exeat_test_servers::postgres::PostgresCluster;

    use super::*;

    #[tokio::test]
    async fn postgres_notices_soon_that_a_machine_is_gone() {
        let url = PostgresCluster::shared().create_database();
        let database = Database::open(&DatabaseUrl::Postgres(url)).await.unwrap();
        for (setting, expected) in [("idle", "30"), ("interval", "10"), ("count", "3")] {
            let show = format!("SELECT current_setting('tcp_keepalives_{setting}')");
            let found: String = sqlx::query_scalar(sqlx::AssertSqlSafe(show))
                .fetch_one(&database.pool)
                .await
                .unwrap();
            assert_eq!(found, expected, "{setting}");
        }
    }

    #[tokio::test]
    async fn a_busy_sqlite_may_be_asked_again() {
        let folder = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::Sqlite(folder.path().join("exeat.db"));
        let (writer, other) = (
            Database::open(&url).await.unwrap(),
            Database::open(&url).await.unwrap(),
        );
        let mut other = other.pool.acquire().await.unwrap();
        other.execute("PRAGMA busy_timeout = 0").await.unwrap();
        let insert = "INSERT INTO turns (tenant_id, served_at) VALUES (1, 1)";

        let writing = writer.begin().await.unwrap();
        let busy = DirectoryError::from(other.execute(insert).await.unwrap_err());
        assert!(busy.is_transient(), "{busy:?}");
        let busy = DirectoryError::from(other.begin_with("BEGIN IMMEDIATE").await.map(drop).unwrap_err());
        assert!(busy.is_transient(), "{busy:?}");
        writing.rollback().await.unwrap();
        // It has no such tenant, and never will.
        let wrong = DirectoryError::from(other.execute(insert).await.unwrap_err());
        assert!(!wrong.is_transient(), "{wrong:?}");

        // A transaction that began to read before another one wrote cannot go on to write.
        let mut reading = other.begin().await.unwrap();
        reading.execute("SELECT count(*) FROM turns").await.unwrap();
        writer
            .pool
            .execute("INSERT INTO tenants (name, pseudonym_key, created_at) VALUES ('a', zeroblob(32), 1)")
            .await
            .unwrap();
        let stale = DirectoryError::from(reading.execute(insert).await.unwrap_err());
        assert!(stale.is_transient(), "{stale:?}");
    }

    #[test]
    fn a_database_url_says_which_database_and_shows_no_password() {
        let sqlite: DatabaseUrl = "sqlite:data/exeat.db".parse().unwrap();
        assert_eq!(sqlite, DatabaseUrl::Sqlite("data/exeat.db".into()));
        let postgres: DatabaseUrl = "postgres://exeat:hunter2@db.internal:6432/exeat".parse().unwrap();
        assert_eq!(format!("{postgres:?}"), "postgres://db.internal:6432/exeat");
        for wrong in ["", "sqlite:", "mysql://x", "exeat.db", "postgres"] {
            assert!(wrong.parse::<DatabaseUrl>().is_err(), "{wrong:?}");
        }
    }
}
