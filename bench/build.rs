//! Builds the guests of the benches.

fn main() {
    exeat_guest_build::build(&["bench-mask", "bench-ndjson"], &["bench/guests"]);
}
