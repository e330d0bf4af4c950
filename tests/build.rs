//! Builds the guest that misbehaves.

fn main() {
    exeat_guest_build::build(&["misbehaving"], &["tests/guests"]);
}
