//! The policy and the database agree: a column that nobody classified fails the build.

use std::collections::BTreeSet;

use exeat_directory::Directory;
use exeat_gate::catalog;
use sqlx::sqlite::SqlitePool;

#[tokio::test]
async fn every_column_of_the_database_is_classified_and_every_classified_column_exists() {
    let folder = tempfile::tempdir().unwrap();
    Directory::open(&Directory::in_folder(folder.path()))
        .await
        .unwrap()
        .close()
        .await;
    let url = format!("sqlite:{}", folder.path().join("exeat.db").display());
    let pool = SqlitePool::connect(&url).await.unwrap();
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE '\\_sqlx%' ESCAPE '\\'",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    let mut in_database = BTreeSet::new();
    for table in tables
        .iter()
        .filter(|table| !catalog().own_tables().contains(table))
    {
        let columns: Vec<String> = sqlx::query_scalar("SELECT name FROM pragma_table_info(?1)")
            .bind(table)
            .fetch_all(&pool)
            .await
            .unwrap();
        in_database.extend(columns.into_iter().map(|column| format!("{table}.{column}")));
    }
    let classified: BTreeSet<String> = catalog()
        .tables()
        .flat_map(|(table, columns)| columns.keys().map(move |column| format!("{table}.{column}")))
        .collect();
    let unclassified: Vec<_> = in_database.difference(&classified).collect();
    assert!(
        unclassified.is_empty(),
        "classify these in host/gate/src/fields.toml: {unclassified:?}"
    );
    let gone: Vec<_> = classified.difference(&in_database).collect();
    assert!(gone.is_empty(), "these are classified and do not exist: {gone:?}");
    for table in catalog().own_tables() {
        assert!(
            tables.contains(table),
            "{table} is listed as our own and does not exist"
        );
    }
}
