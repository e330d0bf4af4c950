//! Builds the shipped plugins for wasm32-unknown-unknown with plain cargo, into a target
//! directory of their own that every profile of the host shares.

use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-unknown-unknown";
const PROFILE: &str = "guest";
const PLUGINS: [&str; 3] = ["field-map", "pseudonymize", "auth0"];

/// Settings of the build that runs this script which must not reach the guests' build.
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

fn main() {
    let workspace = Path::new(&variable("CARGO_MANIFEST_DIR")).join("../..");
    for input in [
        "plugins/transforms",
        "plugins/adapters",
        "guest-sdk",
        "wit",
        ".cargo/config.toml",
    ] {
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
        TARGET,
        "--lib",
    ]);
    cargo.arg("--target-dir").arg(&target_dir);
    PLUGINS.iter().for_each(|plugin| {
        cargo.args(["--package", plugin]);
    });
    HOST_ONLY.iter().for_each(|name| {
        cargo.env_remove(name);
    });
    let status = cargo.status().expect("cargo can be started");
    assert!(
        status.success(),
        "the shipped plugins cannot be built; if rustc has no {TARGET}, run: rustup target add {TARGET}"
    );
    for plugin in PLUGINS {
        let file = format!("{}.wasm", plugin.replace('-', "_"));
        let built = target_dir.join(TARGET).join(PROFILE).join(&file);
        std::fs::copy(&built, out_dir.join(&file)).expect("the built plugin can be copied");
    }
}

fn variable(name: &str) -> String {
    std::env::var(name).expect("cargo sets this variable for build scripts")
}
