//! Databases that go away, stores that refuse, disks that are full, workers that were taken for dead:
//! the export is made in the end or fails with its reason, and nothing half is visible.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use exeat_test_servers::postgres::PostgresCluster;
use exeat_test_servers::s3::Fault;
use exeat_tests::fleet::{Fleet, Worker};
use exeat_tests::{House, Server};
use serde_json::Value;

const EXEAT: &str = env!("CARGO_BIN_EXE_exeat-under-test");
const CSV: &str = r#"{"format": "csv"}"#;
const WORKER: [&str; 4] = ["--lease", "4s", "--jobs", "1"];

fn file_of(server: &Server, token: &str, export: &Value) -> Vec<u8> {
    let file = server.get(export["files"][0]["href"].as_str().unwrap(), token);
    assert_eq!(file.status, 200, "{}", file.text());
    file.body
}

fn completions(house: &House, id: &str) -> usize {
    let records = house.audit();
    let of_job = records.iter().filter(|record| record["job_id"] == id);
    of_job
        .filter(|record| record["action"] == "user.bulk_export")
        .count()
}

/// An export that is held up in the store for so long, and the worker that runs it.
fn held_up(fleet: &Fleet, server: &Server, token: &str, pause: Duration) -> (Worker, String) {
    let slow = Fault::delay(pause).method("PUT").containing("exports");
    fleet.s3().fail(slow.times(1));
    let worker = fleet.worker(1, &WORKER);
    let id = server.create_export(token, CSV);
    server.wait_for(token, &id, "running");
    (worker, id)
}

#[test]
fn an_export_outlives_the_restart_of_its_database() {
    let cluster = PostgresCluster::start();
    let fleet = Fleet::on(&cluster, EXEAT);
    let token = fleet.tenant("acme", 2_000, 7);
    let server = fleet.server();
    let expected = std::fs::read(fleet.house().export("undisturbed.csv", &[])).unwrap();
    let (mut worker, id) = held_up(&fleet, &server, &token, Duration::from_secs(2));
    cluster.disconnect_all();
    std::thread::park_timeout(Duration::from_millis(300));
    cluster.stop_hard();
    let away = server.get(&format!("/v1/exports/{id}"), &token);
    assert!([500, 503].contains(&away.status), "{}", away.text());
    std::thread::park_timeout(Duration::from_secs(1));
    cluster.restart();
    let export = server.wait_for(&token, &id, "completed");
    assert!(file_of(&server, &token, &export) == expected);
    assert_eq!(completions(fleet.house(), &id), 1);
    assert!(!worker.has_ended(), "the worker goes on");
    let next = server.create_export(&token, CSV);
    server.wait_for(&token, &next, "completed");
}

#[test]
fn a_worker_that_was_taken_for_dead_cannot_complete_what_another_took_over() {
    let fleet = Fleet::new(EXEAT);
    let token = fleet.tenant("acme", 2_000, 7);
    let server = fleet.server();
    let expected = std::fs::read(fleet.house().export("undisturbed.csv", &[])).unwrap();
    let (stopped, id) = held_up(&fleet, &server, &token, Duration::from_secs(1));
    stopped.signal("STOP");
    let _other = fleet.worker(2, &WORKER);
    let export = server.wait_for(&token, &id, "completed");
    assert_eq!(export["attempt"], 2);
    // It wakes up, finds its files written, and tries to complete what is no longer its.
    stopped.signal("CONT");
    std::thread::park_timeout(Duration::from_secs(3));
    let after = server.get(&format!("/v1/exports/{id}"), &token).json();
    assert_eq!(after["finished_at"], export["finished_at"]);
    assert_eq!(after["attempt"], 2);
    assert!(file_of(&server, &token, &after) == expected);
    assert_eq!(completions(fleet.house(), &id), 1);
    drop(stopped);
    fleet.house().ok(&["jobs", "sweep"]);
    let stale: Vec<String> = fleet.s3().objects();
    assert!(
        !stale.iter().any(|key| key.contains(&format!("{id}/1/"))),
        "{stale:?}"
    );
}

#[test]
fn a_store_that_fails_for_a_while_delays_an_export_and_one_that_refuses_fails_it() {
    let fleet = Fleet::new(EXEAT);
    let token = fleet.tenant("acme", 2_000, 7);
    let server = fleet.server();
    let _worker = fleet.worker(1, &WORKER);
    // More refusals than one attempt tries: the job itself is tried again.
    let busy = Fault::answer(503, "SlowDown").method("PUT").containing("exports");
    fleet.s3().fail(busy.times(8));
    let id = server.create_export(&token, CSV);
    let export = server.wait_for(&token, &id, "completed");
    assert!(export["attempt"].as_i64() >= Some(2), "{export}");
    assert_eq!(completions(fleet.house(), &id), 1);

    fleet.s3().fail(
        Fault::answer(403, "AccessDenied")
            .method("PUT")
            .containing("exports"),
    );
    let id = server.create_export(&token, CSV);
    let export = server.wait_for(&token, &id, "failed");
    assert_eq!(export["error"]["code"], "vault-failed");
    let detail = export["error"]["detail"].as_str().unwrap();
    assert!(!detail.contains(fleet.s3().secret_key()), "{detail}");
    assert!(
        !fleet.s3().objects().iter().any(|key| key.contains(&id)),
        "nothing is there"
    );
    fleet.s3().heal();
    let next = server.create_export(&token, CSV);
    server.wait_for(&token, &next, "completed");
}

#[test]
fn an_answer_of_the_store_that_is_lost_makes_no_second_export() {
    let fleet = Fleet::new(EXEAT);
    let token = fleet.tenant("acme", 2_000, 7);
    let server = fleet.server();
    let expected = std::fs::read(fleet.house().export("undisturbed.csv", &[])).unwrap();
    fleet
        .s3()
        .fail(Fault::lose_answer().method("PUT").containing("manifest").times(1));
    let _worker = fleet.worker(1, &WORKER);
    let id = server.create_export(&token, CSV);
    let export = server.wait_for(&token, &id, "completed");
    assert!(file_of(&server, &token, &export) == expected);
    assert_eq!(completions(fleet.house(), &id), 1);
}

/// A small file system, gone when dropped.
struct Tmpfs(PathBuf);

impl Tmpfs {
    fn mount(at: PathBuf, size: &str) -> Self {
        std::fs::create_dir_all(&at).unwrap();
        let options = format!("size={size}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(&at)
            .status();
        assert!(
            mounted.is_ok_and(|status| status.success()),
            "this test fills a small tmpfs, and must be allowed to mount one (root, or CAP_SYS_ADMIN)"
        );
        Self(at)
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily: a process may still be in it.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

fn files_below(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.path() {
            path if path.is_dir() => files_below(&path),
            _ => 1,
        })
        .sum()
}

#[test]
fn a_full_disk_fails_a_servers_export_clearly_and_the_next_one_succeeds() {
    let house = House::with_users(EXEAT, 20_000, 7);
    let disk = Tmpfs::mount(house.path("disk"), "2m");
    let store = disk.0.to_string_lossy().into_owned();
    let house = house.with_env(vec![("EXEAT_STORE".to_owned(), store)]);
    let token = house.ok(&["token", "create", "--tenant", "acme", "--name", "t"]);
    let token = token.stdout.trim().to_owned();
    let server = Server::start(&house);
    let id = server.create_export(&token, r#"{"format": "ndjson"}"#);
    let failed = server.wait_for(&token, &id, "failed");
    assert_eq!(failed["error"]["code"], "vault-failed");
    let detail = failed["error"]["detail"].as_str().unwrap();
    assert!(detail.contains("No space left"), "{detail}");
    assert_eq!(files_below(&disk.0.join("exports")), 0, "nothing half is left");
    // Less fits.
    let fits = r#"{"format": "csv", "fields": ["user_id"], "compression": "zstd"}"#;
    let next = server.create_export(&token, fits);
    server.wait_for(&token, &next, "completed");
}

/// Moves sign-ins from one user to another, and memberships too, for as long as it lives: whoever
/// reads one consistent state counts as many of both as there ever were.
const SHUFFLE: &str = "DO $$
DECLARE ids text[]; a text; b text; t bigint;
BEGIN
  SELECT array_agg(user_id), min(tenant_id) INTO ids, t FROM users;
  LOOP
    a := ids[1 + floor(random() * array_length(ids, 1))::int];
    b := ids[1 + floor(random() * array_length(ids, 1))::int];
    UPDATE users SET logins_count = logins_count - 1 WHERE tenant_id = t AND user_id = a;
    UPDATE users SET logins_count = logins_count + 1 WHERE tenant_id = t AND user_id = b;
    UPDATE memberships m SET user_id = b WHERE m.tenant_id = t AND m.user_id = a AND m.group_id =
      (SELECT min(x.group_id) FROM memberships x WHERE x.tenant_id = t AND x.user_id = a AND NOT EXISTS
        (SELECT FROM memberships y WHERE y.tenant_id = t AND y.user_id = b AND y.group_id = x.group_id));
    COMMIT;
  END LOOP;
END $$";

#[test]
fn every_file_is_one_consistent_state_while_users_change_at_full_speed() {
    let cluster = PostgresCluster::shared();
    let fleet = Fleet::on(cluster, EXEAT);
    let token = fleet.tenant("acme", 10_000, 7);
    let server = fleet.server();
    let sum = |sql: &str| -> i64 { cluster.sql_in(fleet.database(), sql).parse().unwrap() };
    let (logins, memberships) = (
        sum("SELECT sum(logins_count) FROM users"),
        sum("SELECT count(*) FROM memberships"),
    );
    // Each transaction leaves its number on what it changed.
    let changes = || sum("SELECT count(DISTINCT xmin::text) FROM users");
    let mut writer = cluster
        .psql(fleet.database())
        .args(["--command", SHUFFLE])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let args = ["--jobs", "5", "--tenant-running", "10", "--lease", "10s"];
    let _workers = [fleet.worker(1, &args), fleet.worker(2, &args)];
    let body = r#"{"format": "ndjson", "fields": ["user_id", "logins_count", "groups"]}"#;
    let ids: Vec<String> = (0..10).map(|_| server.create_export(&token, body)).collect();
    let mut states = std::collections::BTreeSet::new();
    for id in &ids {
        let export = server.wait_for(&token, id, "completed");
        let file = file_of(&server, &token, &export);
        let (mut counted_logins, mut counted_memberships, mut rows) = (0, 0, 0);
        for line in file.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let user: Value = serde_json::from_slice(line).unwrap();
            counted_logins += user["logins_count"].as_i64().unwrap();
            counted_memberships += user["groups"].as_array().unwrap().len() as i64;
            rows += 1;
        }
        assert_eq!(
            (rows, counted_logins, counted_memberships),
            (10_000, logins, memberships),
            "{id}"
        );
        states.insert(export["files"][0]["sha256"].as_str().unwrap().to_owned());
    }
    assert!(
        writer.try_wait().unwrap().is_none(),
        "the writer was at work all the time"
    );
    cluster.sql_in(
        fleet.database(),
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND query LIKE 'DO %'",
    );
    writer.wait().unwrap();
    let changed = changes();
    println!(
        "users were last changed by {changed} transactions; {} states in 10 files",
        states.len()
    );
    assert!(
        states.len() > 1 && changed > 1_000,
        "{changed} changes, {states:?}"
    );
}
