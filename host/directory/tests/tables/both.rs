//! One test body, run on a SQLite file and on a PostgreSQL database of its own.

use std::time::Duration;

use exeat_directory::audit::AuditRecord;
use exeat_directory::{DatabaseUrl, Directory, Tenant};
use exeat_test_servers::postgres::PostgresCluster;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
use tempfile::TempDir;

/// Longer than any test takes.
pub(crate) const LONG: Duration = Duration::from_secs(3_600);

/// Runs each of these test bodies on both databases: `sqlite::NAME` and `postgres::NAME`.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::both::TestDatabase::sqlite()).await;
            })+
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::both::TestDatabase::postgres()).await;
            })+
        }
    };
}

/// An empty database that no other test has.
pub(crate) struct TestDatabase {
    url: DatabaseUrl,
    /// Where SQLite's file lies.
    folder: TempDir,
}

impl TestDatabase {
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self {
            url: Directory::in_folder(folder.path()),
            folder,
        }
    }

    /// In the cluster that all tests of this process share.
    pub(crate) fn postgres() -> Self {
        let url = PostgresCluster::shared().create_database();
        Self {
            url: url.parse().expect("the URL of a database"),
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self.url, DatabaseUrl::Postgres(_))
    }

    pub(crate) fn url(&self) -> &DatabaseUrl {
        &self.url
    }

    /// A folder that goes with the database.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// A handle with connections of its own, as another process would have.
    pub(crate) async fn open(&self) -> Directory {
        Directory::open(&self.url)
            .await
            .expect("a database that can be opened")
    }

    /// A handle, and two tenants.
    pub(crate) async fn with_tenants(&self) -> (Directory, Tenant, Tenant) {
        let directory = self.open().await;
        let (acme, _) = directory.ensure_tenant("acme").await.expect("a tenant");
        let (globex, _) = directory.ensure_tenant("globex").await.expect("a tenant");
        (directory, acme, globex)
    }

    /// The database past the directory's back.
    pub(crate) async fn sql(&self, statements: &str) {
        let statements = sqlx::raw_sql(AssertSqlSafe(statements.to_owned()));
        match &self.url {
            DatabaseUrl::Sqlite(_) => self.sqlite_connection().await.execute(statements).await.map(drop),
            DatabaseUrl::Postgres(_) => self
                .postgres_connection()
                .await
                .execute(statements)
                .await
                .map(drop),
        }
        .expect("a statement that the database takes");
    }

    /// From now on nothing can be audited.
    pub(crate) async fn refuse_audit(&self) {
        self.sql(if self.is_postgres() {
            "ALTER TABLE audit ADD CONSTRAINT no_audit CHECK (FALSE) NOT VALID"
        } else {
            "CREATE TRIGGER no_audit BEFORE INSERT ON audit BEGIN SELECT raise(ABORT, 'full'); END"
        })
        .await;
    }

    pub(crate) async fn sqlite_connection(&self) -> SqliteConnection {
        let DatabaseUrl::Sqlite(file) = &self.url else {
            panic!("this is PostgreSQL");
        };
        SqliteConnection::connect(&format!("sqlite:{}", file.display()))
            .await
            .expect("a database that answers")
    }

    pub(crate) async fn postgres_connection(&self) -> PgConnection {
        let DatabaseUrl::Postgres(url) = &self.url else {
            panic!("this is SQLite");
        };
        PgConnection::connect(url).await.expect("a database that answers")
    }
}

pub(crate) fn record(action: &'static str) -> AuditRecord {
    AuditRecord {
        actor: "token:ops".to_owned(),
        action,
        job_id: None,
        detail: serde_json::json!({ "name": "mask" }),
    }
}

/// What was done, newest first.
pub(crate) async fn audited(directory: &Directory, tenant: &Tenant) -> Vec<String> {
    let trail = directory
        .audit(tenant, 1_000)
        .await
        .expect("a database that answers");
    trail.into_iter().map(|entry| entry.action).collect()
}
