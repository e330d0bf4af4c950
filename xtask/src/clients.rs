//! Clients that other people wrote, unmodified, at Exeat's doors: the SDKs of Auth0, and schemathesis.

use std::path::Path;
use std::process::Command;

use crate::{Outcome, cargo, run, tools};

/// Lets them loose on a server, in `target/clients`.
pub(crate) fn clients() -> Outcome {
    tools::clients()?;
    cargo(&["build", "--workspace", "--bins", "--locked"])?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let root = root.canonicalize().map_err(|error| error.to_string())?;
    let bench = root.join("target/clients");
    // npm resolves packages from where a script lies: it is copied to them, not they to it.
    let scripts = bench.join("scripts");
    let failed = |error: std::io::Error| format!("{}: {error}", scripts.display());
    std::fs::create_dir_all(&scripts).map_err(failed)?;
    for entry in std::fs::read_dir(root.join("tests/clients")).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        std::fs::copy(entry.path(), scripts.join(entry.file_name())).map_err(failed)?;
    }
    run(Command::new("npm")
        .args(["install", "--silent", "--no-audit", "--no-fund"])
        .current_dir(&scripts))?;
    let python = bench.join("venv/bin/python");
    if !python.exists() {
        run(Command::new("python3")
            .args(["-m", "venv"])
            .arg(bench.join("venv")))?;
    }
    run(Command::new(&python)
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--requirement",
        ])
        .arg(scripts.join("requirements.txt")))?;
    run(Command::new("node")
        .arg(scripts.join("run.mjs"))
        .arg(root.join("target/debug/exeat"))
        .arg(bench.join("house"))
        .arg(&python))
}
