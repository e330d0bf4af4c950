//! The hostile guests themselves: that all of them can be made, and that no file is forgotten.

use std::collections::BTreeSet;
use std::path::Path;

use exeat_tests::hostile::{self, bombs};

const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

#[test]
fn every_text_assembles_to_a_component() {
    assert!(hostile::wat_guest("none").starts_with(COMPONENT));
    for name in hostile::wat_guests() {
        assert!(hostile::wat_guest(&name).starts_with(COMPONENT), "{name}");
    }
    for name in hostile::component_texts() {
        let is_component = hostile::component_text(&name).starts_with(COMPONENT);
        assert_eq!(is_component, name != "core_module", "{name}");
    }
}

#[test]
fn every_bomb_can_be_made_and_is_as_large_as_it_says() {
    for (name, bomb) in bombs::ALL {
        let size = bomb().len();
        let fits = match name {
            "zero_length" => size == 0,
            "too_large" => size > 33 << 20,
            _ => (1 << 10..32 << 20).contains(&size),
        };
        assert!(fits, "{name}: {size} bytes");
    }
}

#[test]
fn damage_is_done_and_the_same_each_time() {
    let good = hostile::wat_guest("none");
    let pieces = bombs::truncated(&good);
    assert_eq!(pieces.len(), 16);
    assert!(
        pieces
            .iter()
            .all(|piece| piece.len() < good.len() && good.starts_with(piece))
    );
    for seed in 0..100 {
        let flipped = bombs::bit_flipped(&good, seed);
        assert_eq!(flipped, bombs::bit_flipped(&good, seed), "seed {seed}");
        let changed: u32 = good.iter().zip(&flipped).map(|(a, b)| (a ^ b).count_ones()).sum();
        assert_eq!(changed, 1, "seed {seed}");
    }
}

#[test]
fn every_misdeed_has_a_file_of_its_name_and_every_file_is_a_misdeed() {
    for (guest, files) in [
        ("hostile", hostile::misdeeds()),
        ("hostile-adapter", hostile::adapter_misdeeds()),
    ] {
        let list = format!("guests/{guest}/src/misdeeds/mod.rs");
        let list = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(list)).unwrap();
        let (_, names) = list.split_once("\nmisdeeds! {").unwrap();
        let names: BTreeSet<String> = names
            .trim_end_matches("}\n")
            .split(',')
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .collect();
        assert_eq!(names, files, "{guest}");
    }
}
