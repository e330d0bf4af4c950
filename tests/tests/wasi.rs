//! Promises of the sandbox: a guest that was built with WASI runs, and gets nothing of it.

use std::sync::LazyLock;
use std::time::Duration;

use exeat_sandbox::{JobContext, LogLevel, Plugin, PluginFailure, Record, inspect};
use exeat_tests::stage::{NAMES, Stage, calm, job, small_batch, texts, timed};
use exeat_tests::{House, WASI};
use exeat_workbench::Smoke;

const BINARY: &str = env!("CARGO_BIN_EXE_exeat-under-test");

/// An instant in 2023.
const SNAPSHOT_AT_US: i64 = 1_700_000_000_000_000;

/// A sandbox with the guest that tries what it is told.
struct Wasi {
    stage: Stage,
    plugin: Plugin,
}

/// All tests share it, also the one whose guest exits.
static WASI_STAGE: LazyLock<Wasi> = LazyLock::new(|| {
    let stage = Stage::new(BINARY);
    let plugin = stage.load(WASI).expect("it looks harmless");
    Wasi { stage, plugin }
});

impl Wasi {
    /// What the guest sees when it makes an attempt in a job, or how it fails; and the record.
    fn tries_in(&self, job: &JobContext, attempt: &str) -> (Result<String, PluginFailure>, Record) {
        let opened = self
            .stage
            .open_with(job, &self.plugin, configured(attempt), calm());
        let mut chain = opened.expect("the attempt is made later");
        let batch = small_batch(&chain);
        let shaped = chain.process(batch);
        let seen = shaped.map(|shaped| {
            assert_eq!(texts(&shaped.batch, "name"), NAMES);
            texts(&shaped.batch, "seen").remove(0)
        });
        (seen, chain.recorders()[0].take())
    }

    fn sees_in(&self, job: &JobContext, attempt: &str) -> String {
        let (seen, _) = self.tries_in(job, attempt);
        seen.unwrap_or_else(|failure| panic!("{attempt}: {failure}"))
    }

    fn sees(&self, attempt: &str) -> String {
        self.sees_in(&a_job(), attempt)
    }
}

fn configured(attempt: &str) -> String {
    format!("{{\"try\": \"{attempt}\"}}")
}

fn a_job() -> JobContext {
    JobContext {
        snapshot_at_us: SNAPSHOT_AT_US,
        ..job("exp_1")
    }
}

#[test]
fn a_guest_that_was_built_with_wasi_is_admitted() {
    let admitted = WASI_STAGE.stage.admit(WASI, calm()).unwrap();
    let Smoke::Ran { figures, .. } = admitted.smoke else {
        panic!("its schema has an example: {:?}", admitted.smoke);
    };
    assert!(figures.rows_out > 0);
    let imports = inspect(WASI, &calm()).unwrap().imports;
    let known = [
        "exeat:plugin/",
        "wasi:cli/",
        "wasi:clocks/",
        "wasi:filesystem/",
        "wasi:io/",
        "wasi:random/",
    ];
    for import in &imports {
        assert!(
            known.iter().any(|package| import.starts_with(package)),
            "{import}"
        );
    }
    for package in known {
        assert!(
            imports.iter().any(|import| import.starts_with(package)),
            "this guest says nothing about {package}: {imports:?}"
        );
    }
}

#[test]
fn there_is_no_file_to_read_write_or_list() {
    let stage = &*WASI_STAGE;
    for attempt in ["file", "write_file", "list_dir"] {
        assert_eq!(stage.sees(attempt), "NotFound", "{attempt}");
    }
}

#[test]
fn there_is_no_environment_no_argument_and_no_input() {
    let stage = &*WASI_STAGE;
    assert_eq!(stage.sees("environment"), "0 variables, 0 arguments");
    assert_eq!(stage.sees("stdin"), "0", "it is at its end at once");
}

#[test]
fn the_clock_begins_at_the_snapshot_ticks_and_is_the_same_in_every_run() {
    let stage = &*WASI_STAGE;
    let seen = stage.sees("clock");
    let numbers: Vec<i64> = seen.split(' ').map(|number| number.parse().unwrap()).collect();
    let [first, second, elapsed] = numbers[..] else {
        panic!("three numbers: {seen}");
    };
    assert!(first > SNAPSHOT_AT_US && second > first && elapsed > 0, "{seen}");
    assert!(
        second < SNAPSHOT_AT_US + 1_000,
        "looking is all that moves it: {seen}"
    );
    assert_eq!(stage.sees("clock"), seen);
    let later = JobContext {
        snapshot_at_us: SNAPSHOT_AT_US + 60_000_000,
        ..a_job()
    };
    let seen_later = stage.sees_in(&later, "clock");
    assert!(
        seen_later.starts_with(&(first + 60_000_000).to_string()),
        "{seen_later}"
    );
}

#[test]
fn random_numbers_are_those_of_the_tenants_seed_in_every_run() {
    let stage = &*WASI_STAGE;
    let seen = stage.sees("random");
    let (first, second) = seen.split_once(' ').unwrap();
    assert_ne!(first, second);
    assert_eq!(stage.sees("random"), seen);
    let next_job = JobContext {
        job_id: "exp_2".to_owned(),
        ..a_job()
    };
    assert_eq!(stage.sees_in(&next_job, "random"), seen, "the tenant is the same");
    let other_tenant = JobContext { seed: 2, ..a_job() };
    assert_ne!(stage.sees_in(&other_tenant, "random"), seen);
}

#[test]
fn standard_error_ends_in_the_log_and_standard_output_nowhere() {
    let (seen, record) = WASI_STAGE.tries_in(&a_job(), "stderr");
    assert_eq!(seen.unwrap(), "written");
    let lines: Vec<(LogLevel, &str)> = record
        .log
        .iter()
        .map(|line| (line.level, line.text.as_str()))
        .collect();
    assert_eq!(
        lines,
        [
            (LogLevel::Error, "a warning [31m in red"),
            (LogLevel::Error, "a line without an end"),
        ]
    );
    // The host's own standard output is seen from outside alone.
    let house = House::new(BINARY);
    let component = house.path("wasi.wasm");
    std::fs::write(&component, WASI).unwrap();
    let config = house.write("config.json", &configured("stderr"));
    let users = house.write("users.ndjson", "{\"user_id\":\"usr_1\"}\n");
    let ran = house.ok(&[
        "plugin",
        "run",
        component.to_str().unwrap(),
        "--config",
        &config,
        "--input",
        &users,
    ]);
    assert_eq!(ran.stdout, "{\"user_id\":\"usr_1\",\"seen\":\"written\"}\n");
    assert!(!ran.stderr.contains("for nobody"), "{}", ran.stderr);
}

#[test]
fn a_guest_that_sleeps_is_awake_at_once() {
    let stage = &*WASI_STAGE;
    let (seen, took) = timed(|| stage.sees("sleep"));
    assert_eq!(seen, "awake");
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[test]
fn a_guest_that_exits_ends_its_own_job_and_nothing_else() {
    let stage = &*WASI_STAGE;
    let (seen, _) = stage.tries_in(&a_job(), "exit");
    let failure = seen.expect_err("there is nothing to go back to").to_string();
    assert_eq!(
        failure,
        "plugin wasi-guest 0.1.0 failed in batch 0: it broke the contract: the guest exited"
    );
    assert_eq!(stage.sees("environment"), "0 variables, 0 arguments");
}
