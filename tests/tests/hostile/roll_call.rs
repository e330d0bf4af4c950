//! Every guest has a test of its name: whoever adds one says what becomes of it.

use std::collections::BTreeSet;
use std::process::Command;

use exeat_tests::hostile;

use crate::stage;

#[test]
fn every_guest_has_a_test_of_its_name() {
    // Whoever counts processes is alone.
    let _together = stage();
    let listed = Command::new(std::env::current_exe().unwrap())
        .arg("--list")
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let tests = |module: &str| -> BTreeSet<String> {
        listed
            .lines()
            .filter_map(|line| {
                line.strip_suffix(": test")?
                    .strip_prefix(module)?
                    .strip_prefix("::")
            })
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(tests("rust_guests"), hostile::misdeeds());
    assert_eq!(tests("adapter_guests"), hostile::adapter_misdeeds());
    assert_eq!(tests("wat_guests"), hostile::wat_guests());
    assert_eq!(tests("component_texts"), hostile::component_texts());
    let bombs = hostile::bombs::ALL.map(|(name, _)| name.to_owned());
    assert_eq!(tests("bombs"), BTreeSet::from(bombs));
}
