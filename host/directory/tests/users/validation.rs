//! A definition that does not fit its database is refused at the start, with the member that is wrong.

use std::collections::BTreeSet;

use exeat_directory::postgres::SourceDefinition;
use exeat_gate::catalog;
use exeat_test_servers::postgres::PostgresCluster;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgPool;

use crate::store::Store;

const TABLES: &str = "
    CREATE TABLE people (
        id TEXT NOT NULL, org TEXT NOT NULL, mail VARCHAR, number INT NOT NULL UNIQUE, loose TEXT UNIQUE, plain TEXT NOT NULL,
        part TEXT NOT NULL, seen TIMESTAMPTZ, at BIGINT, good BOOLEAN, note JSONB, mark UUID,
        PRIMARY KEY (org, id));
    CREATE UNIQUE INDEX ON people (part) WHERE good;
    CREATE UNIQUE INDEX ON people (lower(plain));
    CREATE TABLE teams (person TEXT, org TEXT, name TEXT, number INT);
    CREATE VIEW everyone AS SELECT id, org FROM people";

const DEFINITION: &str = r#"
name = "people"
summary = "People."
never = ["people.mark"]

[users]
from = "people p"
key = "p.id"
tenant = "p.org = {tenant}"

[fields]
email = { sql = "p.mail", filterable = true }
email_verified = { sql = "p.good", filterable = true }
created_at = { sql = "p.at", filterable = true, unit = "milliseconds" }
last_signed_in_at = { sql = "p.seen", unit = "timestamptz" }
logins_count = { sql = "p.number" }
custom_attributes = { sql = "p.note" }

[groups]
from = "teams t"
key = "t.person"
where = "t.org = {tenant}"
name = "t.name"
filterable = true
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_definition_that_does_not_fit_is_refused_with_the_member_that_is_wrong() {
    let pool = PgPool::connect(&PostgresCluster::shared().create_database())
        .await
        .unwrap();
    sqlx::raw_sql(AssertSqlSafe(TABLES.to_owned()))
        .execute(&pool)
        .await
        .unwrap();
    SourceDefinition::parse(DEFINITION)
        .unwrap()
        .validate(&pool)
        .await
        .unwrap();

    let cases = [
        (
            "people p",
            "nobody p",
            "users.from: relation \"nobody\" does not exist",
        ),
        (
            "p.mail",
            "p.mial",
            "fields.email.sql: column p.mial does not exist",
        ),
        (
            "p.mail",
            "p.number",
            "fields.email.sql: is of type int4; it must be text",
        ),
        (
            "p.mail",
            "missing(p.mail)",
            "fields.email.sql: function missing(character varying) does not exist",
        ),
        (
            "p.good",
            "p.mail",
            "fields.email_verified.sql: is of type varchar; it must be bool",
        ),
        (
            "p.at",
            "p.seen",
            "fields.created_at.sql: is of type timestamptz; it must be int2",
        ),
        (
            "p.seen",
            "p.at",
            "fields.last_signed_in_at.sql: is of type int8; it must be timestamptz",
        ),
        ("p.number", "p.good", "fields.logins_count.sql: is of type bool"),
        (
            "p.note",
            "p.at",
            "fields.custom_attributes.sql: is of type int8; it must be json",
        ),
        (
            "p.org = {tenant}",
            "p.org || {tenant}",
            "users.tenant: is of type text; it must be bool",
        ),
        (
            "\"p.id\"",
            "\"p.number\"",
            "users.key: is of type int4; it must be text",
        ),
        ("\"p.id\"", "\"p.loose\"", "users.key: loose may be NULL"),
        ("\"p.id\"", "\"p.plain\"", "users.key: plain has no unique index"),
        ("\"p.id\"", "\"p.part\"", "users.key: part has no unique index"),
        (
            "p.org = {tenant}",
            "p.mail = {tenant}",
            "users.key: id has no unique index",
        ),
        (
            "\"p.id\"",
            "\"q.id\"",
            "users.key: missing FROM-clause entry for table \"q\"",
        ),
        (
            "key = \"p.id\"",
            "key = \"p.id\"\norder = \"p.nil\"",
            "users.order: column p.nil does not exist",
        ),
        (
            "\"t.person\"",
            "\"t.number\"",
            "groups.key: is of type int4; it must be text",
        ),
        ("t.name", "t.nmae", "groups.name: column t.nmae does not exist"),
        (
            "t.org = {tenant}",
            "t.grp = {tenant}",
            "groups.where: column t.grp does not exist",
        ),
    ];
    for (right, wrong, reason) in cases {
        assert!(DEFINITION.contains(right), "{right}");
        let definition = SourceDefinition::parse(&DEFINITION.replacen(right, wrong, 1)).unwrap();
        let told = definition.validate(&pool).await.unwrap_err().to_string();
        assert!(told.starts_with(reason), "{wrong}: {told}");
    }
    let view = DEFINITION
        .split("[fields]")
        .next()
        .unwrap()
        .replace("people p", "everyone p");
    let told = SourceDefinition::parse(&view)
        .unwrap()
        .validate(&pool)
        .await
        .unwrap_err();
    assert!(
        told.to_string().starts_with("users.key: id may be NULL"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn exeats_own_tables_fit_their_definition() {
    let store = Store::postgres().await;
    let pool = store.pool.as_ref().unwrap();
    SourceDefinition::exeat().validate(pool).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_column_of_users_on_postgresql_is_classified() {
    let store = Store::postgres().await;
    let in_database: BTreeSet<String> = sqlx::query_scalar(
        "SELECT table_name || '.' || column_name FROM information_schema.columns WHERE table_schema = 'public'",
    )
    .fetch_all(store.pool.as_ref().unwrap())
    .await
    .unwrap()
    .into_iter()
    .filter(|column: &String| {
        let table = column.split('.').next().unwrap_or_default();
        !table.starts_with("_sqlx") && !catalog().own_tables().iter().any(|own| own == table)
    })
    .collect();
    let classified: BTreeSet<String> = catalog()
        .tables()
        .flat_map(|(table, columns)| columns.keys().map(move |column| format!("{table}.{column}")))
        .collect();
    assert_eq!(in_database, classified);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_cannot_be_asked_is_no_wrong_definition() {
    let pool = PgPool::connect(&PostgresCluster::shared().create_database())
        .await
        .unwrap();
    pool.close().await;
    let told = SourceDefinition::exeat().validate(&pool).await.unwrap_err();
    assert!(
        told.to_string()
            .starts_with("the connection to PostgreSQL was lost"),
        "{told}"
    );
}
