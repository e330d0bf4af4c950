//! Damaged components against admission: no panic, no hang, and a reason for every refusal.
//!
//! The components are the frozen ones, so the same seeds give the same damage for ever.
//! `EXEAT_FUZZ_CASES=100000 cargo test --workspace --test fuzz -- --nocapture` looks at so many;
//! `cargo xtask fuzz` does the same to the released command.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use exeat_sandbox::compiler::{CompileLimits, Compiler};
use exeat_sandbox::{LoadError, PluginLimits, Refusal, RefusalCode, Sandbox, SandboxSetup, inspect};
use exeat_tests::House;
use exeat_tests::mutate::mutated;
use exeat_workbench::admit;
use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_exeat-under-test");

/// For one component, on a machine that does other things as well.
const MOST_TIME: Duration = Duration::from_secs(120);

/// How many components are damaged and looked at.
fn cases() -> usize {
    let cases = std::env::var("EXEAT_FUZZ_CASES").ok();
    cases.and_then(|cases| cases.parse().ok()).unwrap_or(1_000)
}

/// How many are given to the command, each in a process of its own.
fn commands() -> usize {
    cases().div_ceil(50)
}

/// How many are compiled: each takes a part of a second, and of the wait of everyone who tests.
fn admissions() -> usize {
    cases().div_ceil(100)
}

fn originals() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("abi/v0_1");
    let mut plugins: Vec<_> = std::fs::read_dir(folder)
        .expect("the frozen plugins are there")
        .filter_map(|entry| Some(entry.ok()?.path().join("component.wasm")))
        .filter(|component| component.exists())
        .collect();
    plugins.sort();
    let read = |path| std::fs::read(path).expect("the frozen plugins can be read");
    plugins.iter().map(read).collect()
}

/// Looks at each on a thread of its own, to tell which one ends it or holds it up.
fn each<T, L>(seeds: Vec<u64>, look: L) -> Vec<(u64, T)>
where
    T: Send + 'static,
    L: Fn(u64) -> T + Send + 'static,
{
    let (done, results) = mpsc::channel();
    let ahead = seeds.clone();
    std::thread::spawn(move || {
        for seed in ahead {
            if done.send(look(seed)).is_err() {
                return;
            }
        }
    });
    let result = |seed| match results.recv_timeout(MOST_TIME) {
        Ok(result) => (seed, result),
        Err(RecvTimeoutError::Timeout) => panic!("seed {seed} takes longer than {MOST_TIME:?}"),
        Err(RecvTimeoutError::Disconnected) => panic!("seed {seed} makes it panic"),
    };
    seeds.into_iter().map(result).collect()
}

/// Every seed, and why its component is refused before anything is compiled.
static INSPECTED: LazyLock<Vec<(u64, Option<Refusal>)>> = LazyLock::new(|| {
    let originals = originals();
    each((0..cases() as u64).collect(), move |seed| {
        inspect(&mutated(&originals, seed), &PluginLimits::default()).err()
    })
});

#[track_caller]
fn assert_told(seed: u64, refusal: &Refusal) {
    let message = &refusal.message;
    assert!(!message.trim().is_empty(), "seed {seed}: {}", refusal.code.name());
    assert!(message.len() < 2_000, "seed {seed}: {message}");
    assert!(!message.chars().any(char::is_control), "seed {seed}: {message:?}");
}

/// For whoever runs more of them with `--nocapture`.
fn tell(what: &str, outcomes: impl Iterator<Item = &'static str>) {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for outcome in outcomes {
        *counts.entry(outcome).or_default() += 1;
    }
    eprintln!("{what}: {counts:?}");
}

#[test]
fn whatever_is_damaged_inspection_answers_with_a_reason() {
    for (seed, refusal) in &*INSPECTED {
        if let Some(refusal) = refusal {
            assert_told(*seed, refusal);
        }
    }
    let code = |refusal: &Option<Refusal>| refusal.as_ref().map_or("passed", |refusal| refusal.code.name());
    tell("inspected", INSPECTED.iter().map(|(_, refusal)| code(refusal)));
    let refused = INSPECTED.iter().filter(|(_, refusal)| refusal.is_some()).count();
    assert!(refused * 2 > INSPECTED.len(), "the damage is done: {refused}");
}

#[test]
fn what_looks_sound_and_is_not_is_refused_or_runs_and_never_harms_the_host() {
    let passed = INSPECTED.iter().filter(|(_, refusal)| refusal.is_none());
    let seeds: Vec<u64> = passed.map(|(seed, _)| *seed).take(admissions()).collect();
    assert!(!seeds.is_empty(), "some damage does not show");
    let originals = originals();
    let sandbox = Sandbox::new(SandboxSetup {
        compiler: Compiler::new(BINARY.into(), CompileLimits::default()),
        cache: None,
        metered: false,
    })
    .unwrap();
    let admitted = each(seeds, move |seed| {
        admit(
            &sandbox,
            &mutated(&originals, seed),
            PluginLimits::default(),
            None,
        )
        .map(|_| ())
    });
    let mut outcomes = Vec::new();
    for (seed, result) in admitted {
        match result {
            Ok(()) => outcomes.push("admitted"),
            Err(LoadError::Refused(refusal)) => {
                assert_told(seed, &refusal);
                outcomes.push(refusal.code.name());
            }
            Err(LoadError::Host(error)) => panic!("seed {seed} is the host's fault: {error}"),
        }
    }
    tell("admission", outcomes.into_iter());
}

#[test]
fn the_command_answers_in_json_and_with_its_code_whatever_the_file() {
    let house = House::new(BINARY);
    let originals = originals();
    let seeds = (0..commands() as u64).collect();
    let ran = each(seeds, move |seed| {
        let file = house.path("component.wasm");
        std::fs::write(&file, mutated(&originals, seed)).unwrap();
        let file = file.to_string_lossy().into_owned();
        let output = house
            .command(&["plugin", "check", &file, "--json"])
            .env("XDG_CACHE_HOME", house.path("cache"))
            .output()
            .unwrap();
        (output, house.data().exists())
    });
    let codes = RefusalCode::ALL.iter().map(|code| code.name());
    let codes: Vec<&str> = codes.collect();
    for (seed, (output, data)) in ran {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let answer: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("seed {seed}: no JSON ({error}): {stderr}"));
        assert!(
            !data,
            "seed {seed}: checking is done offline, without a data folder"
        );
        match output.status.code() {
            Some(0) => assert_eq!(answer["admitted"], true, "seed {seed}: {answer}"),
            Some(4) => {
                assert_eq!(answer["admitted"], false, "seed {seed}: {answer}");
                let code = answer["code"].as_str().unwrap_or_default();
                assert!(codes.contains(&code), "seed {seed}: {answer}");
                let detail = answer["detail"].as_str().unwrap_or_default();
                assert!(!detail.is_empty(), "seed {seed}: {answer}");
            }
            other => panic!("seed {seed}: exit code {other:?}: {stderr}"),
        }
    }
}
