//! A transform built with WASI that tries what it finds there, as its configuration says, and tells
//! what it saw: for tests of the sandbox.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io::Read;
use std::time::{Duration, Instant, SystemTime, SystemTimeError};

use exeat_sdk::{Fault, Job, Output, Reject, Row, TextOut, Transform, TransformPlan, Verdict};
use schemars::JsonSchema;
use serde::Deserialize;

/// What to try.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("examples" = [{"try": "environment"}]))]
pub struct Config {
    /// The attempt.
    #[serde(rename = "try")]
    pub attempt: Attempt,
}

/// Something that a program may do with its surroundings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Attempt {
    /// Reads a file that every Unix has.
    File,
    /// Writes a file.
    WriteFile,
    /// Lists the root folder.
    ListDir,
    /// Counts variables and arguments.
    Environment,
    /// Looks at both clocks, twice.
    Clock,
    /// Hashes the same number with two keys that std drew.
    Random,
    /// Writes lines to standard error and standard output.
    Stderr,
    /// Sleeps for ten seconds.
    Sleep,
    /// Ends the process.
    Exit,
    /// Reads standard input to its end.
    Stdin,
}

/// The transform.
#[derive(Debug)]
pub struct Wasi {
    attempt: Attempt,
    seen: TextOut,
}

impl Transform for Wasi {
    type Config = Config;

    fn open(config: Config, _job: &Job, plan: &mut TransformPlan) -> Result<Self, Fault> {
        plan.pass_selected_except(&[]);
        Ok(Self {
            attempt: config.attempt,
            seen: plan.compute_text("seen"),
        })
    }

    fn row(&mut self, row: Row<'_>, out: &mut Output) -> Result<Verdict, Reject> {
        if row.index() == 0 {
            out.text(self.seen, &attempted(self.attempt));
        }
        Ok(Verdict::Keep)
    }
}

/// Makes an attempt and tells what came of it.
fn attempted(attempt: Attempt) -> String {
    match attempt {
        Attempt::File => told(std::fs::read("/etc/passwd").map(|bytes| bytes.len())),
        Attempt::WriteFile => told(std::fs::write("/tmp/exeat-was-here", "here")),
        Attempt::ListDir => told(std::fs::read_dir("/").map(Iterator::count)),
        Attempt::Environment => {
            let (variables, arguments) = (std::env::vars().count(), std::env::args().count());
            format!("{variables} variables, {arguments} arguments")
        }
        Attempt::Clock => clocks().unwrap_or_else(|error| error.to_string()),
        Attempt::Random => {
            let hashes = [RandomState::new(), RandomState::new()].map(|state| state.hash_one(1_u64));
            format!("{:016x} {:016x}", hashes[0], hashes[1])
        }
        Attempt::Stderr => {
            println!("this is for nobody");
            eprintln!("a warning\x1b[31m in red");
            eprint!("a line without an end");
            "written".to_owned()
        }
        Attempt::Sleep => {
            #[expect(clippy::disallowed_methods, reason = "whether it sleeps is the question")]
            std::thread::sleep(Duration::from_secs(10));
            "awake".to_owned()
        }
        Attempt::Exit => std::process::exit(3),
        Attempt::Stdin => {
            let mut text = String::new();
            told(std::io::stdin().read_to_string(&mut text))
        }
    }
}

fn told<T: std::fmt::Debug>(done: std::io::Result<T>) -> String {
    match done {
        Ok(done) => format!("{done:?}"),
        Err(error) => format!("{:?}", error.kind()),
    }
}

/// Microseconds since 1970, twice, and between two looks at the other clock.
fn clocks() -> Result<String, SystemTimeError> {
    let begun = Instant::now();
    let first = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let second = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let elapsed = begun.elapsed();
    let micros = [first, second, elapsed].map(|duration| duration.as_micros().to_string());
    Ok(micros.join(" "))
}

exeat_sdk::export_transform!(Wasi, "Tries what it finds of WASI.");
