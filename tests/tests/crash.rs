//! Promises that hold when a process is killed, interrupted, or runs out of room.

use std::path::Path;
use std::time::{Duration, Instant};

use exeat_tests::{House, Server};
use serde_json::Value;

const EXEAT: &str = env!("CARGO_BIN_EXE_exeat-under-test");
const USERS: u64 = 40_000;

fn visible(house: &House) -> Vec<String> {
    names(&house.path("out"))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a readable folder");
    entries
        .map(|entry| {
            entry
                .expect("a readable folder")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect()
}

fn holds_a_file(path: &Path) -> bool {
    path.is_file() || names(path).iter().any(|name| holds_a_file(&path.join(name)))
}

#[test]
fn a_killed_export_is_visible_as_a_whole_or_not_at_all() {
    let house = House::with_users(EXEAT, USERS, 7);
    let undisturbed = std::fs::read(house.export("undisturbed.csv", &[])).unwrap();
    let folders = [20, 60, 120, 200, 300].map(|milliseconds| {
        let folder = house.path(&format!("killed-at-{milliseconds}"));
        std::fs::create_dir(&folder).unwrap();
        let file = folder.join("users.csv");
        let mut export = house
            .command(&["export", "--tenant", "acme", "-q", "-o"])
            .arg(&file)
            .spawn()
            .unwrap();
        std::thread::park_timeout(Duration::from_millis(milliseconds));
        export.kill().unwrap();
        export.wait().unwrap();
        folder
    });
    house.export("next.csv", &[]);
    // A kill may come between the commit and the exit: then the export is there, and recorded.
    let (whole, gone): (Vec<_>, Vec<_>) = folders
        .iter()
        .partition(|folder| folder.join("users.csv.manifest.json").exists());
    for folder in &whole {
        assert!(std::fs::read(folder.join("users.csv")).unwrap() == undisturbed);
        assert_eq!(names(folder).len(), 2);
    }
    assert!(gone.len() >= 2, "{whole:?} were done before they were killed");
    for folder in gone {
        // One that was killed before its job was on record left a hidden folder, with nothing in it.
        for left in names(folder) {
            assert!(left.starts_with(".exeat-"), "{left} is left of a killed export");
            assert!(!holds_a_file(&folder.join(left)), "what was staged is swept");
        }
    }
    let records = house.audit();
    let count = |action: &str| records.iter().filter(|record| record["action"] == action).count();
    assert_eq!(count("user.bulk_export"), whole.len() + 2);
    let ended = records
        .iter()
        .filter(|record| record["detail"]["code"] == "process-ended")
        .count();
    assert!(ended <= folders.len() - whole.len());
    assert_eq!(count("user.bulk_export_failed"), ended);
}

#[test]
fn an_export_of_a_killed_server_runs_again_and_ends_once() {
    let house = House::with_users(EXEAT, USERS, 7);
    let token = house
        .ok(&["token", "create", "--tenant", "acme", "--name", "t"])
        .stdout
        .trim()
        .to_owned();
    let server = Server::start(&house);
    let id = server.create_export(
        &token,
        r#"{"format": "csv", "transforms": [{"plugin": "pseudonymize"}]}"#,
    );
    server.wait_for(&token, &id, "running");
    server.kill();
    let server = Server::start(&house);
    let export = server.wait_for(&token, &id, "completed");
    assert_eq!(export["attempt"], 2);
    let file = server.get(export["files"][0]["href"].as_str().unwrap(), &token);
    let undisturbed = house.export("undisturbed.csv", &["--transform", "pseudonymize"]);
    assert!(file.body == std::fs::read(undisturbed).unwrap());
    let exports = house.audit();
    let of_job = exports
        .iter()
        .filter(|record| record["action"] == "user.bulk_export" && record["job_id"] == id.as_str());
    assert_eq!(of_job.count(), 1);
    house.ok(&["jobs", "sweep"]);
    let attempts = std::fs::read_dir(house.data().join("vault/exports/acme").join(&id)).unwrap();
    let attempts: Vec<_> = attempts.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(attempts, ["2"], "the first attempt is swept");
}

#[cfg(unix)]
#[test]
fn an_interrupted_export_says_so_and_leaves_nothing() {
    let house = House::with_users(EXEAT, USERS, 7);
    std::fs::create_dir(house.path("out")).unwrap();
    let map = house.write(
        "map.json",
        r#"{"columns": [{"from": "user_metadata.country"}, {"from": "app_metadata.plan"}]}"#,
    );
    let args = [
        "export",
        "--tenant",
        "acme",
        "--transform",
        "field-map",
        "--config",
        &map,
        "-o",
        "out/users.csv.zst",
    ];
    let export = house
        .command(&args)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while visible(&house).is_empty() && begun.elapsed() < Duration::from_secs(20) {
        std::thread::park_timeout(Duration::from_millis(2));
    }
    std::process::Command::new("kill")
        .args(["-INT", &export.id().to_string()])
        .status()
        .unwrap();
    let output = export.wait_with_output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(130),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(visible(&house).is_empty());
    let newest = &house.audit()[0];
    assert_eq!(
        (&newest["action"], &newest["detail"]["code"]),
        (
            &Value::from("user.bulk_export_cancelled"),
            &Value::from("cancelled")
        )
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_fails_the_export_clearly_and_the_next_one_succeeds() {
    let house = House::with_users(EXEAT, 5_000, 7);
    std::fs::create_dir(house.path("out")).unwrap();
    // A limit on the size of files stands in for a full disk: no rights are needed for it.
    let limited = |blocks: &str| {
        let shell = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        let exeat = house.command(&[]);
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &shell]).arg(exeat.get_program());
        command.args(["export", "--tenant", "acme", "-q", "-o", "out/users.ndjson"]);
        command
            .current_dir(house.path(""))
            .env("EXEAT_DATA", house.data());
        command.output().unwrap()
    };
    let failed = limited("500");
    let stderr = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert_eq!(failed.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("the export cannot be stored: File too large"),
        "{stderr}"
    );
    assert!(visible(&house).is_empty());
    house.export("out/users.ndjson", &[]);
}

#[cfg(target_os = "linux")]
#[test]
fn memory_does_not_grow_with_rows() {
    let peak = |count: u64| {
        let house = House::with_users(EXEAT, count, 7);
        let mut export = house
            .command(&[
                "export",
                "--tenant",
                "acme",
                "-q",
                "--transform",
                "pseudonymize",
                "-o",
                "users.csv.gz",
            ])
            .spawn()
            .unwrap();
        let status = format!("/proc/{}/status", export.id());
        let mut peak = 0;
        while export.try_wait().unwrap().is_none() {
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse().ok());
            peak = kib.unwrap_or(peak);
            std::thread::park_timeout(Duration::from_millis(1));
        }
        peak
    };
    let (few, many): (u64, u64) = (peak(10_000), peak(80_000));
    assert!(few > 0);
    assert!(
        many * 10 <= few * 12,
        "{few} KiB for 10,000 users, {many} KiB for 80,000"
    );
}
