//! One word for each habit: `cargo xtask demo | test | bench | budgets | kits | clients | plugins | deny | fleet | fuzz`.

mod bench;
mod budgets;
mod clients;
mod fuzz;
mod kits;
#[path = "../../tests/src/mutate.rs"]
pub mod mutate;
mod tools;

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

const USAGE: &str = "\
cargo xtask demo [ARGS]   set everything up, build in release, serve a demo tenant (see exeat demo --help)
cargo xtask test          everything that CI runs: format, clippy, tests, budgets, kits, clients, docs, licenses
cargo xtask bench [--quick] [--only GROUP]  build in release, measure, and keep what came out in the README:
                          transforms, adapters, encoders, sqlite, postgres, scaling, life
cargo xtask budgets [--write]  count instructions and compare them with what is allowed
cargo xtask kits          try the kit of every language as an author would: new, build, test, push, export
cargo xtask clients       let the unmodified SDKs of Auth0, and schemathesis, loose on a server
cargo xtask plugins       build the shipped plugins alone
cargo xtask deny          check licenses, sources and the walls between the rooms
cargo xtask fleet [N [USERS]]  build in release, let 1, 2 and 3 workers make N exports (1,000 of 1,000 users)
cargo xtask fuzz [SEEDS]  build in release, give exeat plugin check so many damaged components (1,000)";

/// What plugins are built for, and what the guest is built for that tests what stands behind WASI.
const GUEST_TARGETS: [&str; 2] = ["wasm32-unknown-unknown", "wasm32-wasip2"];
const DEMO_DATA: &str = "./exeat-demo";
const DENY_VERSION: &str = "0.20";

/// What failed, in a sentence.
type Outcome = Result<(), String>;

/// A step of the tests, and its name.
type Step = (&'static str, fn() -> Outcome);

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let word = args.next().unwrap_or_default();
    let rest: Vec<String> = args.collect();
    let done = match word.as_str() {
        "demo" => demo(&rest),
        "test" => test(),
        "bench" => bench::bench(&rest),
        "budgets" => budgets::budgets(&rest),
        "plugins" => add_guest_targets().and_then(|()| cargo(&["build", "--package", "exeat-shipped"])),
        "deny" => deny(),
        "kits" => add_guest_targets().and_then(|()| kits::kits()),
        "clients" => add_guest_targets().and_then(|()| clients::clients()),
        "fleet" => tools::postgresql()
            .and_then(|()| release())
            .and_then(|exeat| fleet(&exeat, &rest)),
        "fuzz" => release().and_then(|exeat| fuzz::fuzz(&exeat, rest.first().map(String::as_str))),
        _ => Err(format!("there is no habit \"{word}\"\n\n{USAGE}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Sets up everything, then hands over to `exeat demo`.
fn demo(args: &[String]) -> Outcome {
    let mut exeat = Command::new(release()?);
    if env::var_os("EXEAT_DATA").is_none() && !args.iter().any(|arg| arg.starts_with("--data")) {
        exeat.args(["--data", DEMO_DATA]);
    }
    run(exeat.arg("demo").args(args))
}

/// Measures what workers get done, on a PostgreSQL cluster and an S3 server of its own.
fn fleet(exeat: &Path, args: &[String]) -> Outcome {
    let exeat = exeat.to_string_lossy();
    let fleet = ["run", "--quiet", "--bin", "fleet", "--", exeat.as_ref()];
    let args: Vec<&str> = fleet.into_iter().chain(args.iter().map(String::as_str)).collect();
    cargo(&args)
}

/// Builds plugins and host in release.
fn release() -> Result<PathBuf, String> {
    add_guest_targets()?;
    cargo(&["build", "--release", "--package", "exeat"])?;
    Ok(Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release/exeat"))
}

/// Everything that CI runs.
fn test() -> Outcome {
    add_guest_targets()?;
    let steps: [Step; 8] = [
        ("format", || cargo(&["fmt", "--all", "--check"])),
        ("clippy", || {
            cargo(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--locked",
                "--",
                "--deny",
                "warnings",
            ])
        }),
        ("tests", || {
            tools::postgresql()?;
            cargo(&["test", "--workspace", "--locked"])
        }),
        ("budgets", || budgets::budgets(&[])),
        ("kits", kits::kits),
        ("clients", clients::clients),
        ("docs", || {
            let mut doc = cargo_command(&["doc", "--workspace", "--no-deps", "--locked"]);
            run(doc.env("RUSTDOCFLAGS", "--deny warnings"))
        }),
        ("deny", deny),
    ];
    for (name, step) in steps {
        let begun = Instant::now();
        eprintln!("== {name}");
        step().map_err(|error| format!("{name}: {error}"))?;
        eprintln!("== {name}: {} s", begun.elapsed().as_secs());
    }
    Ok(())
}

/// Licenses, sources, and the walls between the rooms. Installs cargo-deny where it is missing.
fn deny() -> Outcome {
    let installed = Command::new("cargo").args(["deny", "--version"]).output();
    if !installed.is_ok_and(|output| output.status.success()) {
        cargo(&["install", "cargo-deny", "--version", DENY_VERSION, "--locked"])?;
    }
    cargo(&[
        "deny",
        "--all-features",
        "check",
        "--hide-inclusion-graph",
        "bans",
        "licenses",
        "sources",
    ])
}

/// Guests are built for targets that a fresh toolchain lacks; nothing else adds them.
fn add_guest_targets() -> Outcome {
    let installed = Command::new("rustup")
        .args(["target", "list", "--installed"])
        .output();
    let installed =
        installed.map_err(|error| format!("rustup cannot be started ({error}); install it first"))?;
    let installed = String::from_utf8_lossy(&installed.stdout);
    let missing = GUEST_TARGETS
        .into_iter()
        .filter(|target| !installed.lines().any(|line| line == *target));
    for target in missing {
        run(Command::new("rustup").args(["target", "add", target]))?;
    }
    Ok(())
}

fn cargo(args: &[&str]) -> Outcome {
    run(&mut cargo_command(args))
}

fn cargo_command(args: &[&str]) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(args);
    cargo
}

fn run(command: &mut Command) -> Outcome {
    let shown = format!("{command:?}");
    let status = command
        .status()
        .map_err(|error| format!("{shown} cannot be started: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{shown} failed"))
    }
}
