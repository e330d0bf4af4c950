//! Builds the guests that misbehave, and the one that was built with WASI.

use exeat_guest_build::{WASI, build, build_for};

fn main() {
    build(&["misbehaving", "hostile", "hostile-adapter"], &["tests/guests"]);
    build_for(WASI, &["wasi-guest"], &["tests/guests/wasi"]);
}
