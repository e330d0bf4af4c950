//! The policy and both databases agree: a column that nobody classified fails the build.

use std::collections::{BTreeMap, BTreeSet};

use exeat_gate::catalog;

use crate::both::TestDatabase;

on_both! {
    every_column_of_the_database_is_classified_and_every_classified_column_exists,
}

/// `TABLE.COLUMN` of all tables, and whether it may be null; sqlx's own apart.
async fn columns(database: &TestDatabase) -> BTreeMap<String, bool> {
    database.open().await.close().await;
    let rows: Vec<(String, String, bool)> = if database.is_postgres() {
        let query = sqlx::query_as(
            "SELECT table_name::text, column_name::text, is_nullable = 'YES' FROM information_schema.columns
             WHERE table_schema = 'public'",
        );
        query.fetch_all(&mut database.postgres_connection().await).await
    } else {
        // A key is never null, whatever SQLite says of it.
        let query = sqlx::query_as(
            "SELECT t.name, c.name, c.\"notnull\" = 0 AND c.pk = 0
             FROM sqlite_schema t, pragma_table_info(t.name) c
             WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
        );
        query.fetch_all(&mut database.sqlite_connection().await).await
    }
    .unwrap();
    rows.into_iter()
        .filter(|(table, ..)| !table.starts_with("_sqlx"))
        .map(|(table, column, nullable)| (format!("{table}.{column}"), nullable))
        .collect()
}

async fn every_column_of_the_database_is_classified_and_every_classified_column_exists(
    database: TestDatabase,
) {
    let all = columns(&database).await;
    let table_of = |column: &str| column.split('.').next().unwrap_or_default().to_owned();
    let own = catalog().own_tables();
    let tables: BTreeSet<String> = all.keys().map(|column| table_of(column)).collect();
    let in_database: BTreeSet<String> = all
        .into_keys()
        .filter(|column| !own.contains(&table_of(column)))
        .collect();
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
    for table in own {
        assert!(
            tables.contains(table),
            "{table} is listed as our own and does not exist"
        );
    }
}

#[tokio::test]
async fn both_databases_have_the_same_tables_and_columns() {
    let (sqlite, postgres) = (TestDatabase::sqlite(), TestDatabase::postgres());
    assert_eq!(columns(&sqlite).await, columns(&postgres).await);
}
