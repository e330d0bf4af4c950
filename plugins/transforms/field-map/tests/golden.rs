//! The golden cases of this plugin, run natively.

use std::path::Path;

#[test]
fn golden_cases_come_out_as_written() {
    exeat_sdk::test::check_transform::<field_map::FieldMap>(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("cases"),
    );
}
