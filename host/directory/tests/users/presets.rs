//! Other platforms' databases, read through the definitions that ship.

use std::collections::BTreeSet;
use std::sync::Arc;

use exeat_directory::filter::Filter;
use exeat_directory::postgres::{PostgresUsers, SourceDefinition};
use exeat_directory::{Counting, Tenant};
use exeat_gate::Field;
use exeat_test_servers::postgres::PostgresCluster;
use sqlx::AssertSqlSafe;
use sqlx::postgres::{PgConnectOptions, PgPool};

use crate::store::{Store, named, rest};

/// A platform's database, and its users as a role sees them that may read no column that never leaves.
struct Platform {
    users: PostgresUsers,
    tenants: Store,
}

impl Platform {
    async fn of(preset: &str, tables: &'static str) -> Self {
        let url = PostgresCluster::shared().create_database();
        let owner = PgPool::connect(&url).await.unwrap();
        sqlx::raw_sql(tables).execute(&owner).await.unwrap();
        let definition = SourceDefinition::preset(preset)
            .unwrap()
            .for_single_tenant("acme");
        let role = reader_of(&owner, preset).await;
        let options: PgConnectOptions = url.parse().unwrap();
        let pool = PgPool::connect_with(options.username(&role)).await.unwrap();
        definition.validate(&pool).await.unwrap();
        Self {
            users: PostgresUsers::new(pool, Arc::new(definition)),
            tenants: Store::sqlite().await,
        }
    }

    async fn rows(&self, tenant: &Tenant, fields: Vec<&'static Field>, filter: &[&str]) -> Vec<Vec<String>> {
        let filter = Filter::parse(filter).unwrap();
        let mut snapshot = self
            .users
            .snapshot(tenant, &filter, Counting::First)
            .await
            .unwrap();
        let counted = snapshot.rows();
        snapshot.read(fields.clone());
        let rows: Vec<_> = rest(snapshot, fields)
            .await
            .into_iter()
            .flat_map(Result::unwrap)
            .collect();
        assert_eq!(Some(rows.len() as u64), counted);
        rows
    }

    async fn of_acme(&self, fields: &[&str], filter: &[&str]) -> Vec<Vec<String>> {
        self.rows(&self.tenants.acme, named(fields), filter).await
    }
}

/// A role that may read every column of every table but those that never leave: the server itself
/// refuses a statement that names one.
async fn reader_of(owner: &PgPool, preset: &str) -> String {
    let role = format!("reader_{preset}");
    let text = std::fs::read_to_string(format!("{}/sources/{preset}.toml", env!("CARGO_MANIFEST_DIR")));
    let file: toml::Table = text.unwrap().parse().unwrap();
    let never: BTreeSet<String> = file["never"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap().to_owned())
        .collect();
    let run = |sql: String| async move { sqlx::raw_sql(AssertSqlSafe(sql)).execute(owner).await.unwrap() };
    run(format!("CREATE ROLE {role} LOGIN")).await;
    let columns: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT table_schema::text, table_name::text, column_name::text FROM information_schema.columns
         WHERE table_schema IN ('public', 'auth')",
    )
    .fetch_all(owner)
    .await
    .unwrap();
    let mut planted = 0;
    for (schema, table, column) in columns {
        run(format!("GRANT USAGE ON SCHEMA {schema} TO {role}")).await;
        let qualified = match schema.as_str() {
            "public" => format!("{table}.{column}"),
            schema => format!("{schema}.{table}.{column}"),
        };
        if never.contains(&qualified) {
            planted += 1;
            continue;
        }
        run(format!("GRANT SELECT ({column}) ON {schema}.{table} TO {role}")).await;
    }
    assert!(planted > 4, "the tables of the test lack what never leaves");
    role
}

#[tokio::test(flavor = "multi_thread")]
async fn keycloaks_users_are_read_without_a_secret() {
    let keycloak = Platform::of("keycloak", include_str!("presets/keycloak.sql")).await;
    let fields: Vec<&Field> = keycloak.users.definition().defined_fields().collect();
    let rows = keycloak.rows(&keycloak.tenants.acme, fields.clone(), &[]).await;
    let all = format!("{rows:?}");
    assert!(!all.contains("PLANTED") && !all.contains("23456789"), "{all}");

    // In the order of bytes, whatever the database's collation; no service account, no other realm.
    let some = [
        "user_id",
        "email",
        "name",
        "state",
        "email_verified",
        "created_at",
        "groups",
        "mfa_factor_count",
    ];
    assert_eq!(
        keycloak.of_acme(&some, &[]).await,
        [
            [
                "B-1",
                "bob@example.com",
                "Babbage",
                "suspended",
                "false",
                "0",
                "[]",
                "0"
            ],
            [
                "a-3",
                "NULL",
                "NULL",
                "active",
                "false",
                "1700000000000000",
                "[\"staff\"]",
                "0"
            ],
            [
                "b-2",
                "ada@example.com",
                "Ada Lovelace",
                "active",
                "true",
                "1700000000123000",
                "[\"Admins\", \"staff\"]",
                "2"
            ],
        ]
    );
    let derived = [
        "phone_last_four",
        "phone_verified",
        "locale",
        "custom_attributes",
        "identities",
    ];
    let rows = keycloak.of_acme(&derived, &[]).await;
    assert_eq!(
        rows[0],
        ["NULL", "false", "NULL", r#"{ "note" : ["long"] }"#, "[]"]
    );
    assert_eq!(
        rows[2],
        [
            "7890",
            "true",
            "en-GB",
            r#"{ "department" : ["legal", "sales"], "locale" : ["en-GB"] }"#,
            concat!(
                r#"[{"connection":"github","provider":"github","subject":"777"},"#,
                r#"{"connection":"google","provider":"google","subject":"10001"}]"#
            )
        ]
    );
    for (filter, count) in [
        (["email=ADA@example.com"], 1),
        (["state=suspended"], 1),
        (["group=staff"], 2),
        (["created_after=2023-11-14T22:13:20.0005Z"], 1),
        (["q=LOVE"], 1),
    ] {
        assert_eq!(
            keycloak.of_acme(&["user_id"], &filter).await.len(),
            count,
            "{filter:?}"
        );
    }
    let globex = keycloak
        .rows(&keycloak.tenants.globex, named(&["user_id"]), &[])
        .await;
    assert_eq!(globex, [["g-5"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn supabases_users_are_read_without_a_secret() {
    let supabase = Platform::of("supabase", include_str!("presets/supabase.sql")).await;
    let fields: Vec<&Field> = supabase.users.definition().defined_fields().collect();
    let rows = supabase.rows(&supabase.tenants.acme, fields, &[]).await;
    let all = format!("{rows:?}");
    assert!(!all.contains("PLANTED") && !all.contains("4412345"), "{all}");

    let some = [
        "user_id",
        "email",
        "state",
        "email_verified",
        "phone_last_four",
        "last_signed_in_at",
        "mfa_factor_count",
    ];
    assert_eq!(
        supabase.of_acme(&some, &[]).await,
        [
            [
                "0a000000-0000-4000-8000-000000000002",
                "bob@example.com",
                "invited",
                "false",
                "NULL",
                "NULL",
                "0"
            ],
            [
                "a0000000-0000-4000-8000-000000000003",
                "NULL",
                "suspended",
                "false",
                "NULL",
                "NULL",
                "0"
            ],
            [
                "a0000000-0000-4000-8000-000000000004",
                "NULL",
                "deleted",
                "false",
                "NULL",
                "NULL",
                "0"
            ],
            [
                "ffffffff-0000-4000-8000-000000000001",
                "Ada@Example.com",
                "active",
                "true",
                "7890",
                "1706788800000001",
                "2"
            ],
        ]
    );
    let rows = supabase
        .of_acme(&["name", "picture", "connection", "identities"], &[])
        .await;
    assert_eq!(rows[3][..3], ["Ada Lovelace", "https://a.example/1", "email"]);
    assert!(
        rows[3][3].contains("\"provider\":\"google\",\"subject\":\"10001\""),
        "{}",
        rows[3][3]
    );
    for (filter, count) in [
        (["email=ada@EXAMPLE.com"], 1),
        (["last_signed_in_after=2024-02-01T12:00:00.000001Z"], 1),
        (["last_signed_in_after=2024-02-01T12:00:00.000002Z"], 0),
        (["connection=phone"], 1),
        (["q=lovelace"], 1),
    ] {
        assert_eq!(
            supabase.of_acme(&["user_id"], &filter).await.len(),
            count,
            "{filter:?}"
        );
    }

    let refused = supabase
        .users
        .snapshot(&supabase.tenants.globex, &Filter::default(), Counting::First)
        .await
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the source \"supabase\" holds the users of another tenant than \"globex\""
    );
    let grouped = Filter::parse(&["group=x"]).unwrap();
    let refused = supabase
        .users
        .snapshot(&supabase.tenants.acme, &grouped, Counting::First)
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("cannot be filtered by \"group\""),
        "{refused}"
    );
    let mut snapshot = supabase
        .users
        .snapshot(&supabase.tenants.acme, &Filter::default(), Counting::First)
        .await
        .unwrap();
    snapshot.read(named(&["user_id", "groups"]));
    let refused = rest(snapshot, named(&["user_id"])).await.remove(0).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the source \"supabase\" has no groups; take it out of the export's fields"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn values_without_a_place_in_their_field_are_errors_without_a_value() {
    let url = PostgresCluster::shared().create_database();
    let pool = PgPool::connect(&url).await.unwrap();
    sqlx::raw_sql(
        "CREATE TABLE people (id TEXT PRIMARY KEY, seen TIMESTAMPTZ, state TEXT, score TEXT, pair INT);
         INSERT INTO people VALUES ('a', '2024-01-01Z', 'active', '7', 1), ('b', 'infinity', NULL, 'secret-word', 1);
         CREATE TABLE pairs (pair INT);
         INSERT INTO pairs VALUES (1), (1)",
    )
    .execute(&pool)
    .await
    .unwrap();
    let tenants = Store::sqlite().await;
    let read = async |from: &str, order: &str, field: &str, sql: &str| {
        let text = format!(
            "name = \"people\"\nsummary = \"People.\"\nnever = []\n\
             [users]\nfrom = \"{from}\"\nkey = \"p.id\"\norder = \"{order}\"\nsingle_tenant = \"acme\"\n\
             [fields]\n{field} = {{ sql = \"{sql}\"{} }}\n",
            if field == "last_signed_in_at" {
                ", unit = \"timestamptz\""
            } else {
                ""
            }
        );
        let users = PostgresUsers::new(pool.clone(), Arc::new(SourceDefinition::parse(&text).unwrap()));
        let mut snapshot = users
            .snapshot(&tenants.acme, &Filter::default(), Counting::First)
            .await
            .unwrap();
        snapshot.read(named(&["user_id", field]));
        let read = rest(snapshot, named(&["user_id", field])).await;
        read.into_iter()
            .find_map(Result::err)
            .map(|error| error.to_string())
    };
    let cases = [
        ("people p", "p.id", "email", "p.id", None),
        (
            "people p",
            "p.id",
            "last_signed_in_at",
            "p.seen",
            Some("out of range in last_signed_in_at"),
        ),
        (
            "people p",
            "p.id",
            "state",
            "p.state",
            Some("a user has no state"),
        ),
        (
            "people p",
            "p.id",
            "logins_count",
            "p.score::bigint",
            Some("SQLSTATE 22P02"),
        ),
        ("people p", "p.id DESC", "email", "p.id", Some("in another order")),
        (
            "people p JOIN pairs x ON x.pair = p.pair",
            "p.id",
            "email",
            "p.id",
            Some("or one key twice"),
        ),
    ];
    for (from, order, field, sql, reason) in cases {
        let told = read(from, order, field, sql).await;
        match (&told, reason) {
            (Some(told), Some(reason)) => {
                assert!(told.contains(reason), "{told}");
                assert!(!told.contains("secret-word"), "{told}");
            }
            _ => assert_eq!(told.as_deref(), reason),
        }
    }
}
