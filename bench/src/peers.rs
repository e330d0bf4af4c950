//! Programs that do the same work in other ways, kept running so that their rounds lie between ours.

use std::cell::RefCell;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use serde_json::{Map, Value};
use tempfile::NamedTempFile;

use crate::people::People;
use crate::setup::PeerPrograms;

/// One way to do the work.
pub struct Peer {
    name: &'static str,
    program: Rc<RefCell<Program>>,
}

struct Program {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    _rows: Rc<NamedTempFile>,
}

#[derive(Deserialize)]
struct Answer {
    ns: Option<u64>,
    error: Option<String>,
}

/// The peers of each program.
const NATIVE: [&str; 5] = ["serde-typed", "serde-value", "vrl", "jaq", "jq"];
const EXTISM: [&str; 2] = ["extism-batch", "extism-row"];
const COMPONENT: [&str; 1] = ["component-row"];

/// Starts all of them on the rows of these people, as NDJSON.
///
/// # Errors
/// One does not start.
pub fn start(programs: &PeerPrograms, people: &People) -> anyhow::Result<Vec<Peer>> {
    let rows = Rc::new(ndjson(people)?);
    let file = rows.path().to_owned();
    let started: [(Vec<&PathBuf>, &[&'static str]); 3] = [
        (vec![&programs.native, &file], &NATIVE),
        (vec![&programs.extism, &programs.extism_guest, &file], &EXTISM),
        (
            vec![&programs.component_row, &programs.component_row_guest, &file],
            &COMPONENT,
        ),
    ];
    let mut peers = Vec::new();
    for (command, names) in started {
        let program = Rc::new(RefCell::new(Program::start(&command, &rows)?));
        peers.extend(names.iter().map(|name| Peer {
            name,
            program: Rc::clone(&program),
        }));
    }
    Ok(peers)
}

impl Peer {
    /// What it is called.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Does the first so many rows; says how long that took.
    ///
    /// # Errors
    /// It says why.
    pub fn run(&self, rows: u64) -> anyhow::Result<Duration> {
        self.program.borrow_mut().run(self.name, rows)
    }
}

impl Program {
    fn start(command: &[&PathBuf], rows: &Rc<NamedTempFile>) -> anyhow::Result<Self> {
        let (program, args) = command.split_first().context("a peer has no program")?;
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| program.display().to_string())?;
        let input = child.stdin.take().context("its standard input is ours")?;
        let output = child.stdout.take().context("its standard output is ours")?;
        let mut program = Self {
            child,
            input,
            output: BufReader::new(output),
            _rows: Rc::clone(rows),
        };
        program.answer()?;
        Ok(program)
    }

    fn answer(&mut self) -> anyhow::Result<Answer> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("a peer answers {line:?}"))
    }

    fn run(&mut self, peer: &str, rows: u64) -> anyhow::Result<Duration> {
        writeln!(self.input, "{peer} {rows}")?;
        self.input.flush()?;
        match self.answer()? {
            Answer { ns: Some(ns), .. } => Ok(Duration::from_nanos(ns)),
            Answer { error, .. } => bail!(error.unwrap_or_else(|| "no reason given".to_owned())),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The rows as the peers know them: the last sign-in has the name that it has elsewhere.
fn ndjson(people: &People) -> anyhow::Result<NamedTempFile> {
    let mut file = NamedTempFile::new()?;
    let mut text = Vec::new();
    for row in people.rows() {
        let renamed = row.iter().map(|(name, value)| {
            let name = match name.as_str() {
                "last_signed_in_at" => "last_login_at",
                name => name,
            };
            (name.to_owned(), value.clone())
        });
        serde_json::to_writer(&mut text, &renamed.collect::<Map<String, Value>>())?;
        text.push(b'\n');
    }
    file.write_all(&text)?;
    file.flush()?;
    Ok(file)
}
