//! Components that are damaged: refused or taken, whatever the damage makes of them.

use exeat_sandbox::{LoadError, RefusalCode};
use exeat_tests::hostile::{self, bombs};
use exeat_tests::stage::{Stage, calm, hasty};

use crate::{assert_readable, refusal, stage};

/// No panic, no hang, no fault of the host; a sentence where it is refused.
fn is_dealt_with(stage: &Stage, what: &str, component: &[u8]) -> Option<RefusalCode> {
    match stage.admit(component, hasty()) {
        Ok(_) => None,
        Err(LoadError::Refused(refusal)) => {
            assert_readable(what, &refusal.message);
            Some(refusal.code)
        }
        Err(LoadError::Host(error)) => panic!("{what}: the host failed: {error}"),
    }
}

#[test]
fn a_component_cut_short_is_refused() {
    let stage = stage();
    for good in [hostile::wat_guest("none"), hostile::rust_guest().to_vec()] {
        for (part, piece) in bombs::truncated(&good).iter().enumerate() {
            let refusal = refusal(stage.admit(piece, calm()));
            let at_a_section = [RefusalCode::NoWorld, RefusalCode::CompileFailed];
            let expected = match part {
                0 => refusal.code == RefusalCode::NotWasm,
                _ => refusal.code == RefusalCode::InvalidWasm || at_a_section.contains(&refusal.code),
            };
            assert!(expected, "{part}/16: {:?}: {refusal}", refusal.code);
            assert_readable("cut short", &refusal.message);
        }
    }
    stage.still_works();
}

#[test]
fn a_component_with_a_flipped_bit_is_refused_or_runs() {
    let stage = stage();
    let good = hostile::wat_guest("none");
    let mut refused = 0;
    for seed in 0..150 {
        let flipped = bombs::bit_flipped(&good, seed);
        let dealt_with = is_dealt_with(&stage, &format!("seed {seed}"), &flipped);
        refused += u32::from(dealt_with.is_some());
    }
    assert!(refused > 50, "{refused} of 150: most bits mean something");
    stage.still_works();
}

#[test]
fn a_large_component_with_a_flipped_bit_is_refused_or_runs() {
    let stage = stage();
    for seed in 0..10 {
        let flipped = bombs::bit_flipped(hostile::rust_guest(), seed);
        is_dealt_with(&stage, &format!("seed {seed}"), &flipped);
    }
    stage.still_works();
}
