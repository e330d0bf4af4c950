//! Connections that are lost, on PostgreSQL.

use std::time::{Duration, Instant};

use exeat_directory::audit;
use exeat_directory::jobs::{
    Heartbeat, JobState, NewJob, Priority, Progress, QueueLimits, Queued, new_job_id,
};
use exeat_directory::{DatabaseUrl, Directory, DirectoryError};
use exeat_test_servers::postgres::PostgresCluster;

use crate::both::{LONG, TestDatabase, record};

/// Ends the connections to this database alone: other tests share the cluster.
fn disconnect(database: &TestDatabase) {
    let DatabaseUrl::Postgres(url) = database.url() else {
        panic!("this is SQLite");
    };
    let name = url.rsplit('/').next().unwrap();
    let terminate =
        format!("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'");
    assert!(PostgresCluster::shared().sql(&terminate).contains('t'));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_call_succeeds_after_connections_were_lost() {
    let database = TestDatabase::postgres();
    let (directory, acme, _) = database.with_tenants().await;
    for _ in 0..3 {
        disconnect(&database);
        assert_eq!(directory.tenant("acme").await.unwrap(), acme);
        disconnect(&database);
        directory.record(&acme, &record(audit::DOWNLOAD)).await.unwrap();
    }
    assert_eq!(directory.audit(&acme, 10).await.unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_lost_in_the_middle_is_transient_and_nothing_is_recorded() {
    let database = TestDatabase::postgres();
    let (directory, acme, _) = database.with_tenants().await;
    let new = NewJob {
        job_id: new_job_id(),
        actor: "token:ops".to_owned(),
        request: "{}".to_owned(),
        priority: Priority::Normal,
        timeout: LONG,
        retention: LONG,
        sensitive: false,
        idempotency: None,
    };
    let limits = QueueLimits::default();
    let queued = directory.queue_job(&acme, &new, limits).await.unwrap();
    assert!(matches!(queued, Queued::Waiting(_)));
    let job = directory
        .claim_job("host/1", LONG, limits)
        .await
        .unwrap()
        .unwrap();
    let complete = async |publish: fn(&TestDatabase)| {
        let audited = record(audit::BULK_EXPORT);
        let publish = async {
            publish(&database);
            Ok::<_, DirectoryError>(())
        };
        directory
            .complete_job(&job, Progress::default(), "{}", &audited, publish)
            .await
    };
    for _ in 0..3 {
        let lost = complete(disconnect).await.unwrap_err();
        assert!(lost.is_transient(), "{lost:?}");
        let after = directory.job(&acme, &job.job_id).await.unwrap().unwrap();
        assert_eq!(after.state, JobState::Running);
        let renewed = directory.renew_lease(&job, LONG, Progress::default()).await;
        assert_eq!(renewed.unwrap(), Heartbeat::Ours);
    }
    assert!(complete(|_| ()).await.unwrap());
    assert_eq!(directory.audit(&acme, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_at_once_and_transient() {
    let asked = Instant::now();
    let gone = "postgres://postgres@127.0.0.1:1/exeat".parse().unwrap();
    let refused = Directory::open(&gone).await.unwrap_err();
    assert!(refused.is_transient(), "{refused:?}");
    assert!(asked.elapsed() < Duration::from_secs(10));
    let why = std::error::Error::source(&refused).unwrap().to_string();
    assert!(why.contains("refused"), "{why}");
}
