//! Two stores, each with the tenants `acme` and `globex`, and rows as texts to compare.

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef};
use exeat_directory::filter::Filter;
use exeat_directory::{
    Counting, DatabaseUrl, Directory, DirectoryError, Snapshot, SourceError, Tenant, UserRecord, UserWriter,
};
use exeat_gate::{ColumnType, Field, Gate, ShapedBatch, catalog};
use exeat_test_servers::postgres::PostgresCluster;
use sqlx::postgres::{PgPool, PgPoolOptions};
use tempfile::TempDir;

/// Users somewhere, and two tenants.
pub(crate) struct Store {
    pub(crate) name: &'static str,
    pub(crate) acme: Tenant,
    pub(crate) globex: Tenant,
    directory: Directory,
    pub(crate) pool: Option<PgPool>,
    _folder: TempDir,
}

impl Store {
    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = Directory::in_folder(folder.path());
        Self::open("sqlite", url, None, folder).await
    }

    pub(crate) async fn postgres() -> Self {
        Self::postgres_at(&PostgresCluster::shared().create_database()).await
    }

    pub(crate) async fn postgres_at(url: &str) -> Self {
        let pool = PgPoolOptions::new()
            .max_connections(8)
            .connect(url)
            .await
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        Self::open("postgres", url.parse().unwrap(), Some(pool), folder).await
    }

    async fn open(name: &'static str, url: DatabaseUrl, pool: Option<PgPool>, folder: TempDir) -> Self {
        let directory = Directory::open(&url).await.unwrap();
        let (acme, _) = directory.ensure_tenant("acme").await.unwrap();
        let (globex, _) = directory.ensure_tenant("globex").await.unwrap();
        Self {
            name,
            acme,
            globex,
            directory,
            pool,
            _folder: folder,
        }
    }

    pub(crate) async fn both() -> [Self; 2] {
        [Self::sqlite().await, Self::postgres().await]
    }

    pub(crate) async fn snapshot(&self, tenant: &Tenant, filter: &Filter) -> Result<Snapshot, SourceError> {
        self.directory.snapshot(tenant, filter, Counting::First).await
    }

    /// One whose users are counted after the last of them.
    pub(crate) async fn uncounted_snapshot(&self, tenant: &Tenant) -> Snapshot {
        let filter = Filter::default();
        let snapshot = self.directory.snapshot(tenant, &filter, Counting::Last).await;
        snapshot.unwrap()
    }

    pub(crate) async fn fill<T: Send + 'static>(
        &self,
        tenant: &Tenant,
        fill: impl FnOnce(&mut UserWriter<'_>) -> Result<T, DirectoryError> + Send + 'static,
    ) -> Result<T, DirectoryError> {
        self.directory.write_users(tenant, fill).await
    }

    pub(crate) async fn write(&self, tenant: &Tenant, users: Vec<UserRecord>) {
        self.fill(tenant, move |writer| {
            users.iter().try_for_each(|user| writer.write(user))
        })
        .await
        .unwrap();
    }

    /// All rows that a filter lets through, as texts.
    pub(crate) async fn rows(&self, tenant: &Tenant, fields: &[&str], filter: &[&str]) -> Vec<Vec<String>> {
        let filter = Filter::parse(filter).unwrap();
        let mut snapshot = self.snapshot(tenant, &filter).await.unwrap();
        let counted = snapshot.rows();
        snapshot.read(named(fields));
        let rows: Vec<Vec<String>> = rest(snapshot, named(fields))
            .await
            .into_iter()
            .flat_map(Result::unwrap)
            .collect();
        assert_eq!(Some(rows.len() as u64), counted, "{}", self.name);
        rows
    }
}

/// Names of all fields.
pub(crate) fn all_fields() -> Vec<&'static str> {
    catalog()
        .fields()
        .iter()
        .map(|field| field.name.as_str())
        .collect()
}

pub(crate) fn named(fields: &[&str]) -> Vec<&'static Field> {
    fields.iter().map(|name| catalog().field(name).unwrap()).collect()
}

/// What is left of a snapshot, batch by batch, each as rows of texts.
pub(crate) async fn rest(
    mut snapshot: Snapshot,
    fields: Vec<&'static Field>,
) -> Vec<Result<Vec<Vec<String>>, SourceError>> {
    tokio::task::spawn_blocking(move || {
        let mut batches = Vec::new();
        while let Some(batch) = snapshot.next_blocking() {
            let gate = Gate::new(fields.clone(), false);
            batches.push(batch.map(|raw| texts(&ShapedBatch::untouched(gate.release(raw).unwrap()))));
        }
        batches
    })
    .await
    .unwrap()
}

/// The next batch of a snapshot, and the snapshot.
pub(crate) async fn next(mut snapshot: Snapshot) -> (Snapshot, Option<Result<usize, SourceError>>) {
    tokio::task::spawn_blocking(move || {
        let batch = snapshot.next_blocking();
        (snapshot, batch.map(|batch| batch.map(|raw| raw.rows())))
    })
    .await
    .unwrap()
}

fn texts(batch: &ShapedBatch) -> Vec<Vec<String>> {
    let columns: Vec<Vec<String>> = batch
        .schema()
        .iter()
        .zip(batch.columns())
        .map(|(spec, column)| {
            (0..batch.rows())
                .map(|row| text(spec.column_type, column, row))
                .collect()
        })
        .collect();
    (0..batch.rows())
        .map(|row| columns.iter().map(|column| column[row].clone()).collect())
        .collect()
}

fn text(column_type: ColumnType, column: &ArrayRef, row: usize) -> String {
    if column.is_null(row) {
        return "NULL".to_owned();
    }
    match column_type {
        ColumnType::Boolean => column.as_boolean().value(row).to_string(),
        ColumnType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
        ColumnType::TimestampUs => column
            .as_primitive::<TimestampMicrosecondType>()
            .value(row)
            .to_string(),
        ColumnType::Utf8 | ColumnType::Json => column.as_string::<i32>().value(row).to_owned(),
        ColumnType::Utf8List => {
            let list = column.as_list::<i32>().value(row);
            let list = list.as_string::<i32>();
            format!("{:?}", list.iter().flatten().collect::<Vec<_>>())
        }
        ColumnType::Float64 => panic!("no field is a float"),
    }
}
