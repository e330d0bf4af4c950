//! Builds the guests that misbehave.

fn main() {
    exeat_guest_build::build(&["misbehaving", "hostile", "hostile-adapter"], &["tests/guests"]);
}
