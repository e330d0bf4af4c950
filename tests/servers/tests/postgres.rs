//! The cluster itself: databases apart, restarts, and nothing left behind.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use exeat_test_servers::postgres::PostgresCluster;

/// Says where its cluster is, and waits to be killed. Run by the test below, as a process of its own.
const VICTIM: &str = "EXEAT_TEST_VICTIM";

#[test]
fn databases_are_apart_and_survive_a_hard_stop() {
    let cluster = PostgresCluster::start();
    let (first, second) = (cluster.create_database(), cluster.create_database());
    assert_ne!(first, second);
    cluster.sql("CREATE TABLE kept AS SELECT 1 AS one");
    cluster.disconnect_all();
    cluster.sql("CHECKPOINT");
    cluster.stop_hard();
    cluster.restart();
    assert_eq!(cluster.sql("SELECT one FROM kept"), "1");
}

#[test]
fn a_killed_test_run_leaves_no_server_behind() {
    if std::env::var_os(VICTIM).is_some() {
        let cluster = PostgresCluster::start();
        println!("folder={}", cluster.sql("SHOW unix_socket_directories"));
        std::thread::park();
    }
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "a_killed_test_run_leaves_no_server_behind",
            "--nocapture",
        ])
        .env(VICTIM, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufRead::lines(std::io::BufReader::new(victim.stdout.take().unwrap()));
    let folder = lines
        .map_while(Result::ok)
        .find_map(|line| line.split_once("folder=").map(|(_, folder)| folder.to_owned()))
        .unwrap();
    let pid = std::fs::read_to_string(Path::new(&folder).join("data/postmaster.pid")).unwrap();
    let server = Path::new("/proc").join(pid.lines().next().unwrap());
    assert!(server.exists());

    victim.kill().unwrap();
    victim.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while server.exists() || Path::new(&folder).exists() {
        assert!(Instant::now() < deadline, "{folder} is still there");
        std::thread::yield_now();
    }
}
