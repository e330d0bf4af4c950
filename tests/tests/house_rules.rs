//! Rules of the house that no compiler checks.

use std::path::{Path, PathBuf};
use std::process::Command;

const LONGEST_FILE_LINES: usize = 800;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn tree(args: &[&str]) -> String {
    let cargo = Command::new(env!("CARGO"))
        .current_dir(workspace())
        .arg("tree")
        .args(args)
        .output()
        .expect("a readable workspace");
    assert!(
        cargo.status.success(),
        "{}",
        String::from_utf8_lossy(&cargo.stderr)
    );
    String::from_utf8(cargo.stdout).expect("a readable workspace")
}

#[test]
fn one_room_alone_depends_on_each_of_wasmtime_sqlx_and_axum() {
    let rooms = [
        ("wasmtime", "exeat-sandbox"),
        ("sqlx", "exeat-directory"),
        ("libsqlite3-sys", "exeat-directory"),
        ("axum", "exeat-api"),
        ("object_store", "exeat-vault"),
        ("clap", "exeat"),
    ];
    for (package, room) in rooms {
        let dependents = tree(&[
            "--workspace",
            "--invert",
            package,
            "--depth",
            "1",
            "--prefix",
            "none",
            "--edges",
            "normal",
        ]);
        let ours: Vec<&str> = dependents
            .lines()
            .skip(1)
            .filter(|line| line.contains(&*workspace().canonicalize().unwrap().to_string_lossy()))
            .filter_map(|line| line.split(' ').next())
            .collect();
        assert_eq!(ours, [room], "{package}");
    }
}

#[test]
fn the_gate_does_no_input_or_output() {
    let dependencies = tree(&["--package", "exeat-gate", "--prefix", "none", "--edges", "normal"]);
    let io = [
        "tokio",
        "mio",
        "socket2",
        "hyper",
        "axum",
        "sqlx",
        "object_store",
        "wasmtime",
        "rustix",
        "tempfile",
    ];
    for line in dependencies.lines() {
        let name = line.split(' ').next().unwrap_or_default();
        assert!(!io.contains(&name), "{name}");
    }
    for file in sources(&workspace().join("host/gate/src")) {
        let text = std::fs::read_to_string(&file).unwrap();
        for door in ["std::fs", "std::net", "std::env", "std::process", "std::io"] {
            assert!(!text.contains(door), "{} uses {door}", file.display());
        }
    }
}

#[test]
fn unsafe_code_is_in_four_small_files_with_its_argument() {
    let mut allowed = Vec::new();
    for room in [
        "host",
        "guest-sdk",
        "plugins",
        "tests/src",
        "tests/guests",
        "xtask",
        "bench/src",
        "bench/guests",
    ] {
        for file in sources(&workspace().join(room)) {
            let text = std::fs::read_to_string(&file).unwrap();
            if text.contains("expect(unsafe_code") {
                allowed.push(file.file_name().unwrap().to_string_lossy().into_owned());
            }
        }
    }
    allowed.sort();
    assert_eq!(
        allowed,
        ["abi.rs", "code_cache.rs", "export.rs", "raw.rs"],
        "the hostile guests' ABI, loading compiled code that this host made, the SDK's export macro, \
         SQLite's cursors"
    );
}

#[test]
fn no_file_has_grown_past_what_one_idea_needs() {
    for room in ["bench", "host", "guest-sdk", "plugins", "tests", "xtask"] {
        for file in sources(&workspace().join(room)) {
            let lines = std::fs::read_to_string(&file).unwrap().lines().count();
            assert!(
                lines <= LONGEST_FILE_LINES,
                "{} has {lines} lines",
                file.display()
            );
        }
    }
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a readable workspace") {
        let path = entry.expect("a readable workspace").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}
