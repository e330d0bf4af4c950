//! Builds what is measured and what it is measured against, and runs the benches.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Outcome, add_guest_targets, cargo, run, tools};

/// Where the peers of the transform benches are built, in the target folder.
const PEERS: &str = "target/peers";

/// Runs `cargo xtask bench`.
pub(crate) fn bench(args: &[String]) -> Outcome {
    tools::postgresql()?;
    tools::peers()?;
    add_guest_targets()?;
    // Together, so that they share what is compiled.
    let programs = [
        "--package",
        "exeat",
        "--package",
        "exeat-bench",
        "--bin",
        "exeat",
        "--bin",
        "exeat-bench",
        "--features",
        "exeat-bench/arrow-writers",
    ];
    cargo(&[&["build", "--release", "--locked"][..], &programs].concat())?;
    let only = args.iter().skip_while(|arg| *arg != "--only").nth(1);
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut bench = Command::new(workspace.join("target/release/exeat-bench"));
    bench.arg("--exeat").arg(workspace.join("target/release/exeat"));
    bench.arg("--folder").arg(workspace.join("target/bench"));
    bench.arg("--results").arg(workspace.join("bench/results.json"));
    bench.arg("--readme").arg(workspace.join("README.md"));
    if only.is_none_or(|only| only == "transforms") {
        bench.arg("--peers").arg(peers(&workspace)?);
    }
    run(bench.args(args))
}

/// Builds the peers: see `bench/peers/README.md`.
fn peers(workspace: &Path) -> Result<PathBuf, String> {
    let folder = workspace.join("bench/peers");
    let target = std::path::absolute(workspace.join(PEERS)).map_err(|error| error.to_string())?;
    let build = |args: &[&str]| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(&folder).env("CARGO_TARGET_DIR", &target);
        cargo.args(["build", "--locked", "--package"]).args(args);
        cargo
    };
    let guest = ["--profile", "guest", "--target", "wasm32-unknown-unknown"];
    run(&mut build(&["exeat-peers", "--release"]))?;
    run(&mut build(&["exeat-peers-component", "--release"]))?;
    run(build(&["exeat-peers-extism-guest"]).args(guest))?;
    run(build(&["exeat-peers-component-guest"])
        .args(guest)
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", "wasm-component-ld"))?;
    let extism = target.join("extism");
    let pip = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--upgrade",
    ];
    run(Command::new("python3")
        .current_dir(&folder)
        .args(pip)
        .args(["--requirement", "requirements.txt", "--target"])
        .arg(&extism))?;
    let library = extism.join("extism_sys");
    run(Command::new("cc")
        .current_dir(&folder)
        .args(["-std=c11", "-O2", "extism.c", "-lextism_sys", "-o"])
        .arg(target.join("exeat-peers-extism"))
        .arg(format!("-L{}", library.display()))
        .arg(format!("-Wl,-rpath,{}", library.display())))?;
    Ok(target)
}
