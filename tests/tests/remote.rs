//! Promises to those whose command line talks to a server elsewhere.

use std::time::{Duration, Instant};

use exeat_tests::{House, Ran, Server};
use serde_json::Value;

const EXEAT: &str = env!("CARGO_BIN_EXE_exeat-under-test");

/// A server, and another machine from which it is reached.
struct Remote {
    house: House,
    server: Server,
    token: String,
    elsewhere: House,
}

impl Remote {
    fn new(users: u64) -> Self {
        Self::with(users, &[])
    }

    fn with(users: u64, args: &[&str]) -> Self {
        let house = House::with_users(EXEAT, users, 7);
        let token = house.ok(&["token", "create", "--tenant", "acme", "--name", "remote"]);
        let server = Server::start_with(&house, args);
        Self {
            token: token.stdout.trim().to_owned(),
            elsewhere: House::new(EXEAT),
            house,
            server,
        }
    }

    fn run(&self, args: &[&str]) -> Ran {
        let there = ["--server", self.server.url(), "--token", &self.token];
        self.elsewhere.run(&[args, &there].concat())
    }
}

#[test]
fn an_export_from_a_server_is_the_one_that_the_server_would_write_itself() {
    let remote = Remote::new(3_000);
    let args = ["--filter", "state=active", "--fields", "user_id,email"];
    let there = remote.house.export("there.csv.gz", &args);
    let here = remote.elsewhere.path("here.csv.gz");
    let ran = remote.run(&[&["export", "-o", here.to_str().unwrap()], &args[..]].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(std::fs::read(&here).unwrap() == std::fs::read(there).unwrap());
    let manifest = std::fs::read(remote.elsewhere.path("here.csv.gz.manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["files"][0]["name"], "here.csv.gz");

    let folder = remote.elsewhere.path("for-auth0");
    let ran = remote.run(&["export", "--adapter", "auth0", "-o", folder.to_str().unwrap()]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(folder.join("manifest.json").exists() && folder.join("users-0001.json").exists());
    // Nothing else is left, and nothing was made of a data folder that is not needed.
    let left = std::fs::read_dir(remote.elsewhere.path("")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "{left:?}");
}

#[test]
fn what_a_server_refuses_is_told_in_a_sentence_and_leaves_nothing() {
    let remote = Remote::new(10);
    let here = remote.elsewhere.path("no.csv");
    let ran = remote.run(&[
        "export",
        "--fields",
        "password_hash",
        "-o",
        here.to_str().unwrap(),
    ]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("never exported"), "{}", ran.stderr);
    assert!(ran.stderr.contains("hint:"), "{}", ran.stderr);
    assert!(!here.exists());
    let ran = remote.run(&["jobs", "cancel", "exp_none"]);
    assert!(ran.stderr.contains("no such export"), "{}", ran.stderr);
}

#[test]
fn an_interrupted_export_is_cancelled_at_the_server_too() {
    // Nobody takes it up, so that it waits until it is interrupted.
    let remote = Remote::with(10, &["--workers", "0"]);
    let here = remote.elsewhere.path("users.ndjson");
    let there = ["--server", remote.server.url(), "--token", &remote.token];
    let export = ["export", "-o", here.to_str().unwrap()];
    let mut command = remote.elsewhere.command(&[&export, &there[..]].concat());
    let mut child = command.spawn().unwrap();
    let begun = Instant::now();
    let exports = || remote.server.get("/v1/exports", &remote.token).json();
    while exports()["exports"][0]["state"] != "queued" {
        assert!(begun.elapsed() < Duration::from_secs(30), "{}", exports());
        std::thread::park_timeout(Duration::from_millis(5));
    }
    exeat_tests::fleet::signal(child.id(), "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!here.exists());
    while exports()["exports"][0]["state"] != "cancelled" {
        assert!(begun.elapsed() < Duration::from_secs(30), "{}", exports());
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

#[test]
fn exports_and_the_trail_of_a_server_are_listed() {
    let remote = Remote::new(10);
    let here = remote.elsewhere.path("users.csv");
    remote.run(&["export", "-o", here.to_str().unwrap()]);
    let listed = remote.run(&["jobs", "list"]).stdout;
    let export: Value = serde_json::from_str(listed.trim()).unwrap();
    let id = export["id"].as_str().unwrap();
    assert_eq!(remote.run(&["jobs", "hold", id]).code, Some(0));
    assert_eq!(remote.run(&["jobs", "delete", id]).code, Some(1));
    assert_eq!(remote.run(&["jobs", "release", id]).code, Some(0));
    assert_eq!(remote.run(&["jobs", "delete", id]).code, Some(0));
    let plugins = remote.run(&["plugin", "list"]);
    let own = remote.house.ok(&["plugin", "list", "--tenant", "acme"]);
    assert_eq!(plugins.stdout, own.stdout);
    let theirs = remote.run(&["audit", "list", "--limit", "5000"]).stdout;
    let own = remote
        .house
        .ok(&["audit", "list", "--tenant", "acme", "--limit", "5000"]);
    assert_eq!(theirs, own.stdout);
    assert!(theirs.lines().count() >= 5);
}
