//! From the request to the day when the files go: cancelling, time limits, limits of tenants,
//! retention, legal hold, stopping in good order. A server and workers on PostgreSQL and S3.

use std::io::Read as _;
use std::time::{Duration, Instant};

use exeat_test_servers::s3::Fault;
use exeat_tests::Server;
use exeat_tests::fleet::Fleet;
use serde_json::Value;

const EXEAT: &str = env!("CARGO_BIN_EXE_exeat-under-test");
const CSV: &str = r#"{"format": "csv"}"#;
/// Fields that make a row long, so that a stream fills whatever lies between server and reader.
const WIDE: &str = "user_id,email,name,username,picture,custom_attributes,app_metadata,groups,identities";
const WORKER: [&str; 4] = ["--lease", "2s", "--jobs", "2"];

/// A store that is so slow that an export which writes to it is still running.
fn slow_store(fleet: &Fleet) {
    let slow = Fault::delay(Duration::from_secs(15)).method("PUT");
    fleet.s3().fail(slow.containing("exports"));
}

fn audited(fleet: &Fleet, id: &str, action: &str) -> usize {
    let records = fleet.house().audit();
    let of_job = records.iter().filter(|record| record["job_id"] == id);
    of_job.filter(|record| record["action"] == action).count()
}

fn objects_of(fleet: &Fleet, id: &str) -> Vec<String> {
    let mut objects = fleet.s3().objects();
    objects.retain(|object| object.contains(id));
    objects
}

#[test]
fn what_a_server_is_asked_for_is_made_by_a_worker_elsewhere() {
    let fleet = Fleet::new(EXEAT);
    let token = fleet.tenant("acme", 2_000, 7);
    let server = fleet.server();
    let component = exeat_tests::WASI;
    let uploaded = server.upload(&token, "wasi-guest", "0.1.0", component);
    assert!(uploaded.status < 300, "{}", uploaded.text());
    let id = server.create_export(&token, CSV);
    std::thread::park_timeout(Duration::from_millis(700));
    let waiting = server.get(&format!("/v1/exports/{id}"), &token).json();
    assert_eq!(waiting["state"], "queued", "the server itself runs no exports");
    let _worker = fleet.worker(1, &WORKER);
    let export = server.wait_for(&token, &id, "completed");
    let file = server.get(export["files"][0]["href"].as_str().unwrap(), &token);
    let undisturbed = fleet.house().export("undisturbed.csv", &[]);
    assert!(file.body == std::fs::read(undisturbed).unwrap());
    // A plugin that was uploaded to the server is the worker's, too.
    let uploaded = server.create_export(
        &token,
        r#"{"transforms": [{"plugin": "wasi-guest", "config": {"try": "environment"}}]}"#,
    );
    server.wait_for(&token, &uploaded, "completed");
    assert_eq!(
        fleet
            .s3()
            .objects()
            .iter()
            .filter(|key| key.contains("plugins/"))
            .count(),
        1
    );
}

#[test]
fn an_export_is_cancelled_at_once_if_it_waits_and_within_two_seconds_if_it_runs() {
    let fleet = Fleet::new(EXEAT);
    let token = fleet.tenant("acme", 2_000, 7);
    let server = fleet.server();
    let cancel = |id: &str| server.post(&format!("/v1/exports/{id}/cancel"), &token, "");

    let waiting = server.create_export(&token, CSV);
    assert_eq!(cancel(&waiting).json()["state"], "cancelled");
    assert_eq!(cancel(&waiting).status, 202, "again is fine");

    slow_store(&fleet);
    let _worker = fleet.worker(1, &WORKER);
    let running = server.create_export(&token, CSV);
    server.wait_for(&token, &running, "running");
    let asked = Instant::now();
    assert_eq!(cancel(&running).status, 202);
    let cancelled = server.wait_for(&token, &running, "cancelled");
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    assert_eq!(cancelled["error"]["code"], "cancelled");
    for id in [&waiting, &running] {
        assert_eq!(audited(&fleet, id, "user.bulk_export_cancelled"), 1);
    }
    // Everything it held is free: the next one runs, and nothing of it stays.
    fleet.s3().heal();
    let next = server.create_export(&token, CSV);
    server.wait_for(&token, &next, "completed");
    let refused = cancel(&next);
    assert_eq!(
        (refused.status, &refused.json()["code"]),
        (409, &Value::from("not-cancellable"))
    );
    let begun = Instant::now();
    while !objects_of(&fleet, &running).is_empty() && begun.elapsed() < Duration::from_secs(20) {
        fleet.house().ok(&["jobs", "sweep"]);
    }
    assert!(objects_of(&fleet, &running).is_empty());
}

#[test]
fn an_export_that_takes_too_long_fails_and_says_so() {
    let fleet = Fleet::new(EXEAT);
    let token = fleet.tenant("acme", 100, 7);
    let server = fleet.server();
    slow_store(&fleet);
    let _worker = fleet.worker(1, &WORKER);
    let id = server.create_export(&token, r#"{"timeout_seconds": 1}"#);
    let failed = server.wait_for(&token, &id, "failed");
    assert_eq!(failed["error"]["code"], "timed-out");
    assert_eq!(audited(&fleet, &id, "user.bulk_export_failed"), 1);
    let refused = server.post("/v1/exports", &token, r#"{"timeout_seconds": 1000000}"#);
    assert_eq!(refused.status, 422);
    assert_eq!(refused.json()["pointer"], "/timeout_seconds");
}

#[test]
fn a_tenant_that_asks_for_too_much_is_told_when_to_come_back_and_others_are_served() {
    let fleet = Fleet::new(EXEAT);
    let (acme, globex) = (fleet.tenant("acme", 100, 7), fleet.tenant("globex", 100, 7));
    let server = Server::start_with(fleet.house(), &["--workers", "0", "--tenant-queued", "20"]);
    let greedy: Vec<String> = (0..20).map(|_| server.create_export(&acme, CSV)).collect();
    let refused = server.post("/v1/exports", &acme, CSV);
    assert_eq!(
        (refused.status, &refused.json()["code"]),
        (429, &Value::from("too-many-exports"))
    );
    assert!(
        refused
            .header("retry-after")
            .is_some_and(|after| after.parse::<u32>().is_ok())
    );
    let urgent = server.create_export(&globex, CSV);
    let _worker = fleet.worker(1, &["--jobs", "1", "--lease", "2s"]);
    let urgent = server.wait_for(&globex, &urgent, "completed");
    let later = greedy.iter().filter(|id| {
        let export = server.wait_for(&acme, id, "completed");
        export["finished_at"].as_str() > urgent["finished_at"].as_str()
    });
    assert!(later.count() >= 18, "tenants take turns");
}

#[test]
fn files_are_kept_for_their_time_unless_somebody_holds_or_deletes_them() {
    let fleet = Fleet::new(EXEAT);
    let token = fleet.tenant("acme", 100, 7);
    let server = fleet.server();
    let _worker = fleet.worker(1, &WORKER);
    let brief = r#"{"format": "csv", "retention_seconds": 2}"#;
    let ids = [brief, brief, CSV].map(|body| server.create_export(&token, body));
    let exports = ids.each_ref().map(|id| server.wait_for(&token, id, "completed"));
    let [expiring, held, kept] = &ids;
    let href = |export: &Value| export["files"][0]["href"].as_str().unwrap().to_owned();
    assert!(exports[2]["expires_at"].as_str() > exports[0]["expires_at"].as_str());
    let hold = |id: &str| server.put(&format!("/v1/exports/{id}/hold"), &token, "");
    assert_eq!(hold(held).json()["held"], true);
    let refused = server.delete(&format!("/v1/exports/{held}/files"), &token);
    assert_eq!(
        (refused.status, &refused.json()["code"]),
        (409, &Value::from("held"))
    );

    std::thread::park_timeout(Duration::from_secs(3));
    fleet.house().ok(&["jobs", "sweep"]);
    let gone = server.get(&href(&exports[0]), &token);
    assert_eq!(
        (gone.status, &gone.json()["code"]),
        (410, &Value::from("no-files"))
    );
    assert!(objects_of(&fleet, expiring).is_empty());
    let record = server.get(&format!("/v1/exports/{expiring}"), &token).json();
    assert_eq!(record["state"], "completed", "the record stays");
    assert!(
        record["purged_at"].is_string() && record["files"].is_null(),
        "{record}"
    );
    assert_eq!(audited(&fleet, expiring, "user.bulk_export_purged"), 1);
    assert_eq!(server.get(&href(&exports[1]), &token).status, 200, "held");
    assert_eq!(server.get(&href(&exports[2]), &token).status, 200, "not yet");

    // Lifting the order lets it go with the next sweep.
    assert_eq!(
        server.delete(&format!("/v1/exports/{held}/hold"), &token).status,
        200
    );
    fleet.house().ok(&["jobs", "sweep"]);
    assert_eq!(server.get(&href(&exports[1]), &token).status, 410);
    for action in ["held", "released", "purged"] {
        assert_eq!(
            audited(&fleet, held, &format!("user.bulk_export_{action}")),
            1,
            "{action}"
        );
    }

    assert_eq!(
        server.delete(&format!("/v1/exports/{kept}/files"), &token).status,
        200
    );
    assert_eq!(server.get(&href(&exports[2]), &token).status, 410);
    assert_eq!(audited(&fleet, kept, "user.bulk_export_deleted"), 1);
    let again = server.delete(&format!("/v1/exports/{kept}/files"), &token);
    assert_eq!(again.json()["code"], "no-files");
    assert_eq!(hold(kept).status, 410, "what is gone cannot be held");
}

#[test]
fn a_worker_told_to_stop_finishes_or_hands_back_what_it_has() {
    let fleet = Fleet::new(EXEAT);
    let token = fleet.tenant("acme", 2_000, 7);
    let server = fleet.server();
    slow_store(&fleet);
    let worker = fleet.worker(1, &["--lease", "30s", "--grace", "1s"]);
    let id = server.create_export(&token, CSV);
    server.wait_for(&token, &id, "running");
    worker.signal("TERM");
    assert_eq!(worker.wait(), Some(0));
    let export = server.get(&format!("/v1/exports/{id}"), &token).json();
    assert_eq!(
        export["state"], "queued",
        "handed back long before its lease runs out"
    );
    fleet.s3().heal();
    let _other = fleet.worker(2, &WORKER);
    let export = server.wait_for(&token, &id, "completed");
    assert_eq!(export["attempt"], 2);
    assert_eq!(audited(&fleet, &id, "user.bulk_export"), 1);

    // With enough grace, it is finished.
    let quick = Fault::delay(Duration::from_secs(2))
        .method("PUT")
        .containing("exports");
    fleet.s3().fail(quick.times(1));
    drop(_other);
    let worker = fleet.worker(3, &["--lease", "30s", "--grace", "20s"]);
    let id = server.create_export(&token, CSV);
    server.wait_for(&token, &id, "running");
    worker.signal("TERM");
    assert_eq!(worker.wait(), Some(0));
    let export = server.get(&format!("/v1/exports/{id}"), &token).json();
    assert_eq!(
        (&export["state"], &export["attempt"]),
        (&Value::from("completed"), &Value::from(1))
    );
}

#[test]
fn a_stream_that_is_cut_off_ends_with_an_error_that_its_reader_can_see() {
    let fleet = Fleet::new(EXEAT);
    let token = fleet.tenant("acme", 45_000, 7);
    let server = Server::start_with(fleet.house(), &["--workers", "0", "--grace", "1s"]);
    let url = format!("{}/v1/users/stream?fields={WIDE}", server.url());
    let response = ureq::get(&url)
        .header("Authorization", format!("Bearer {token}"))
        .call()
        .unwrap();
    let mut reader = response.into_body().into_reader();
    let mut read = vec![0; 64 << 10];
    reader.read_exact(&mut read).unwrap();
    server.signal("TERM");
    // Longer than the time of grace: the stream is cut off while its reader rests.
    std::thread::park_timeout(Duration::from_secs(2));
    let ended = reader.read_to_end(&mut read);
    assert!(ended.is_err(), "a stream that was cut off must not look whole");
    let last = String::from_utf8_lossy(&read);
    let last: Value = serde_json::from_str(last.trim_end().rsplit('\n').next().unwrap()).unwrap();
    assert_eq!(last["error"]["complete"], false, "{last}");
}
