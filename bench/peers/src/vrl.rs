//! VRL, the language of Vector: a program for each event.
//!
//! Two things differ in what it writes. VRL has no BLAKE3, so its pseudonyms are HMAC-SHA-256: the same
//! kind of work, and other digits. And its objects are sorted by key.

use anyhow::{Context, Result, anyhow};
use vrl::compiler::runtime::{Runtime, Terminate};
use vrl::compiler::{ExpressionError, Program, TargetValueRef, TimeZone};
use vrl::diagnostic::Formatter;
use vrl::value::{Secrets, Value};

use crate::protocol::Peer;

const SOURCE: &str = include_str!("work.vrl");

/// The program, compiled once, and what it runs in.
pub(crate) struct Vrl {
    program: Program,
    runtime: Runtime,
    /// What a program may ask for beside the event. This one does not.
    metadata: Value,
    secrets: Secrets,
    time_zone: TimeZone,
}

impl Vrl {
    /// Compiles the program.
    pub(crate) fn compile() -> Result<Self> {
        let compiled = vrl::compiler::compile(SOURCE, &vrl::stdlib::all())
            .map_err(|errors| anyhow!("{}", Formatter::new(SOURCE, errors)))
            .context("VRL cannot compile the program")?;
        Ok(Self {
            program: compiled.program,
            runtime: Runtime::default(),
            metadata: Value::Null,
            secrets: Secrets::default(),
            time_zone: TimeZone::default(),
        })
    }
}

impl Peer for Vrl {
    fn transform(&mut self, rows: &str, out: &mut Vec<u8>) -> Result<()> {
        for line in rows.lines() {
            let mut row: Value = serde_json::from_str(line).context("a row is no JSON")?;
            let mut event = TargetValueRef {
                value: &mut row,
                metadata: &mut self.metadata,
                secrets: &mut self.secrets,
            };
            let outcome = self.runtime.resolve(&mut event, &self.program, &self.time_zone);
            self.runtime.clear();
            match outcome {
                Ok(_) => {
                    serde_json::to_writer(&mut *out, &row).context("cannot write a row")?;
                    out.push(b'\n');
                }
                // How a program says that it has no use for an event.
                Err(Terminate::Abort(ExpressionError::Abort { .. })) => {}
                Err(error) => return Err(error).context("the program failed"),
            }
        }
        Ok(())
    }
}
