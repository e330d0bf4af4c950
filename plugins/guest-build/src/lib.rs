//! Builds guests for build scripts: plain cargo, into a target directory of their own that every
//! profile of the host shares.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What plugins are built for: not a single WASI import.
pub const PLAIN: &str = "wasm32-unknown-unknown";

/// What has a std that imports WASI: for tests of what stands behind it.
pub const WASI: &str = "wasm32-wasip2";

const PROFILE: &str = "guest";

/// What every guest is made of.
const INPUTS: [&str; 4] = ["guest-sdk", "wit", ".cargo/config.toml", "Cargo.lock"];

/// Settings of the build that runs the script which must not reach the guests' build.
const HOST_ONLY: [&str; 8] = [
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_TARGET_DIR",
    "RUSTC",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTDOCFLAGS",
    "RUSTFLAGS",
];

/// Builds packages of this workspace as [`PLAIN`] components: see [`build_for`].
///
/// # Panics
/// A package cannot be built; the message says what may be missing.
pub fn build(packages: &[&str], sources: &[&str]) {
    build_for(PLAIN, packages, sources);
}

/// Builds packages of this workspace as components, for [`PLAIN`] or [`WASI`], and copies each to
/// the calling script's `OUT_DIR`, as its library's name and `.wasm`. `sources` are their folders,
/// from the workspace's root: the script runs again when something in them changes.
///
/// # Panics
/// A package cannot be built; the message says what may be missing.
pub fn build_for(target: &str, packages: &[&str], sources: &[&str]) {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for input in INPUTS.iter().chain(sources) {
        println!("cargo::rerun-if-changed={}", workspace.join(input).display());
    }
    let out_dir = PathBuf::from(variable("OUT_DIR"));
    // OUT_DIR is TARGET_DIR/PROFILE/build/PACKAGE-HASH/out.
    let target_dir = out_dir
        .ancestors()
        .nth(4)
        .expect("OUT_DIR lies in a target directory")
        .join("plugins");
    let mut cargo = Command::new(variable("CARGO"));
    cargo.current_dir(&workspace).args([
        "build",
        "--locked",
        "--profile",
        PROFILE,
        "--target",
        target,
        "--lib",
    ]);
    cargo.arg("--target-dir").arg(&target_dir);
    for package in packages {
        cargo.args(["--package", package]);
    }
    for name in HOST_ONLY {
        cargo.env_remove(name);
    }
    let status = cargo.status().expect("cargo can be started");
    assert!(
        status.success(),
        "guests cannot be built; if rustc lacks the target, run: rustup target add {target}"
    );
    for package in packages {
        let file = format!("{}.wasm", package.replace('-', "_"));
        let built = target_dir.join(target).join(PROFILE).join(&file);
        std::fs::copy(&built, out_dir.join(&file)).expect("the built guest can be copied");
    }
}

fn variable(name: &str) -> String {
    std::env::var(name).expect("cargo sets this variable for build scripts")
}
