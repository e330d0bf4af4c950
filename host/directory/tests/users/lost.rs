//! Connections that are lost, and snapshots that nobody wants any more.

use std::time::{Duration, Instant};

use exeat_directory::filter::Filter;
use exeat_directory::{SourceError, UserRecord, generate};
use exeat_test_servers::postgres::PostgresCluster;
use sqlx::postgres::PgPool;

use crate::store::{Store, all_fields, named, next, rest};

/// More than fits between server and reader.
fn many() -> Vec<UserRecord> {
    let mut people: Vec<UserRecord> = generate::users(12_000, 2).collect();
    for user in &mut people {
        user.custom_attributes = format!("{{\"note\":\"{}\"}}", "x".repeat(2_000));
    }
    people
}

async fn backends(pool: &PgPool, condition: &'static str) -> i64 {
    sqlx::query_scalar(condition).fetch_one(pool).await.unwrap()
}

const IN_TRANSACTION: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
      AND backend_type = 'client backend'";

async fn until_no_transaction_is_left(pool: &PgPool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while backends(pool, IN_TRANSACTION).await > 0 {
        assert!(Instant::now() < deadline, "a transaction is still open");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_is_dropped_early_leaves_no_broken_connection() {
    let store = Store::postgres().await;
    let pool = store.pool.as_ref().unwrap();
    store.write(&store.acme, many()).await;
    for turn in 0..12 {
        let mut snapshot = store.snapshot(&store.acme, &Filter::default()).await.unwrap();
        // Never read, told and not read, read a little.
        if turn % 3 > 0 {
            snapshot.read(named(&all_fields()));
        }
        if turn % 3 > 1 {
            let (again, batch) = next(snapshot).await;
            assert!(batch.unwrap().unwrap() > 0);
            snapshot = again;
        }
        drop(snapshot);
        let one: i64 = sqlx::query_scalar("SELECT 1::bigint")
            .fetch_one(pool)
            .await
            .unwrap();
        assert_eq!(one, 1);
    }
    until_no_transaction_is_left(pool).await;
    assert_eq!(store.rows(&store.acme, &all_fields(), &[]).await.len(), 12_000);
    until_no_transaction_is_left(pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_ended_in_mid_read_is_a_transient_error_and_the_next_snapshot_works() {
    let store = Store::postgres().await;
    let pool = store.pool.as_ref().unwrap();
    store.write(&store.acme, many()).await;
    let fields = named(&all_fields());
    let mut snapshot = store.snapshot(&store.acme, &Filter::default()).await.unwrap();
    snapshot.read(fields.clone());
    let (snapshot, batch) = next(snapshot).await;
    assert!(batch.unwrap().unwrap() > 0);
    // Only those of this test: others share the cluster.
    sqlx::raw_sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'",
    )
    .execute(pool)
    .await
    .unwrap();
    let error = rest(snapshot, fields)
        .await
        .into_iter()
        .find_map(Result::err)
        .unwrap();
    assert!(error.is_transient(), "{error:?}");
    assert!(
        error
            .to_string()
            .starts_with("the connection to PostgreSQL was lost"),
        "{error}"
    );
    assert_eq!(store.rows(&store.acme, &all_fields(), &[]).await.len(), 12_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_gone_is_a_transient_error_until_it_is_back() {
    let cluster = PostgresCluster::start();
    let store = Store::postgres_at(&cluster.create_database()).await;
    store.write(&store.acme, generate::users(10, 2).collect()).await;
    cluster.sql("CHECKPOINT");
    let mut snapshot = store.snapshot(&store.acme, &Filter::default()).await.unwrap();
    cluster.stop_hard();
    let fields = named(&["user_id", "groups"]);
    snapshot.read(fields.clone());
    let error = rest(snapshot, fields)
        .await
        .into_iter()
        .find_map(Result::err)
        .unwrap();
    assert!(error.is_transient(), "{error:?}");
    cluster.restart();
    assert_eq!(
        store.rows(&store.acme, &["user_id", "groups"], &[]).await.len(),
        10
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_succeed_is_no_transient_error() {
    let store = Store::postgres().await;
    let pool = store.pool.as_ref().unwrap();
    store.write(&store.acme, generate::users(10, 2).collect()).await;
    sqlx::raw_sql("ALTER TABLE users DROP COLUMN nickname")
        .execute(pool)
        .await
        .unwrap();
    let fields = named(&["user_id", "nickname"]);
    let mut snapshot = store.snapshot(&store.acme, &Filter::default()).await.unwrap();
    snapshot.read(fields.clone());
    let error = rest(snapshot, fields)
        .await
        .into_iter()
        .find_map(Result::err)
        .unwrap();
    assert!(!error.is_transient());
    assert!(matches!(error, SourceError::Directory(_)));
    assert!(error.to_string().contains("u.nickname does not exist"), "{error}");
    assert_eq!(store.rows(&store.acme, &["user_id"], &[]).await.len(), 10);
}
