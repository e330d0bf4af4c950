//! What is measured: tests that run while no other does.

use std::time::Duration;

use exeat_sandbox::PluginLimits;
use exeat_tests::hostile;
use exeat_tests::stage::{Stage, calm, hasty, small_batch, timed};

use crate::bombs::{TOO_MUCH_TO_COMPILE, is_refused_here};
use crate::stage_alone;

#[test]
fn a_runaway_guest_is_interrupted_within_50_ms_of_its_deadline() {
    let stage = stage_alone();
    let limits = hasty();
    let past_deadline = (0..5).map(|_| {
        let (opened, took) = timed(|| stage.open(stage.transform(), "spin_in_open", limits));
        opened.unwrap_err();
        took.saturating_sub(limits.call_deadline)
    });
    let best = past_deadline.min().unwrap();
    assert!(best < Duration::from_millis(50), "{best:?}");
}

/// Guests that take all the memory that they can get, each until it is stopped.
fn take_memory(stage: &Stage) {
    let soon = PluginLimits {
        call_deadline: Duration::from_millis(50),
        ..calm()
    };
    let roomy = PluginLimits {
        memory_bytes: 160 << 20,
        ..calm()
    };
    for (misdeed, limits) in [
        ("allocate_for_ever", calm()),
        ("grow_memory_step_by_step", soon),
        ("a_million_rejects", roomy),
        ("huge_return", calm()),
    ] {
        let mut chain = stage.open_transform(misdeed, limits);
        let batch = small_batch(&chain);
        chain.process(batch).expect_err(misdeed);
    }
    let mut chain = stage.open_transform("leaks_between_batches", calm());
    for _ in 0..10 {
        let batch = small_batch(&chain);
        chain.process(batch).expect("a fresh instance does it");
    }
}

#[test]
fn memory_returns_to_its_level_after_guests_that_took_much() {
    let stage = stage_alone();
    take_memory(&stage);
    let before = resident_mebibytes();
    for _ in 0..20 {
        take_memory(&stage);
    }
    let after = resident_mebibytes();
    assert!(after < before + 64, "{before} MiB before, {after} MiB after");
}

#[test]
fn no_process_is_left_of_components_that_cannot_be_compiled() {
    let stage = stage_alone();
    assert_eq!(children(), [0_u32; 0], "from other tests");
    let bomb = hostile::bombs::one_enormous_function();
    is_refused_here("one_enormous_function", &bomb, &TOO_MUCH_TO_COMPILE);
    assert_eq!(children(), [0_u32; 0]);
    stage.still_works();
}

/// Memory of this process that is really there.
fn resident_mebibytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kibibytes.expect("Linux tells") / 1024
}

/// Processes whose parent this is, dead ones that nobody has waited for among them.
fn children() -> Vec<u32> {
    let parent = format!("PPid:\t{}", std::process::id());
    let processes = std::fs::read_dir("/proc").expect("Linux tells").flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|process| {
            // One that ends meanwhile is none.
            let status = std::fs::read_to_string(format!("/proc/{process}/status"));
            status.is_ok_and(|status| status.lines().any(|line| line == parent))
        })
        .collect()
}
