//! jq, as a shell script would use it. Its start is part of the time.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};

use crate::protocol::Peer;

/// The work as far as the language of jq goes: it has no hashes, so an e-mail address becomes `p_@` and
/// its domain. That is less than what the others do.
pub(crate) const FILTER: &str = include_str!("work.jq");

/// The `jq` on the path.
pub(crate) struct Jq;

impl Peer for Jq {
    fn transform(&mut self, rows: &str, out: &mut Vec<u8>) -> Result<()> {
        let mut jq = Command::new("jq")
            .args(["--compact-output", FILTER])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start jq")?;
        let mut input = jq.stdin.take().context("jq has no standard input")?;
        let mut output = jq.stdout.take().context("jq has no standard output")?;
        // A pipe holds less than the rows, so one thread writes while the other reads.
        thread::scope(|scope| {
            let writer = scope.spawn(move || input.write_all(rows.as_bytes()));
            output.read_to_end(out).context("cannot read from jq")?;
            writer
                .join()
                .map_err(|_| anyhow!("what writes to jq panicked"))?
                .context("cannot write to jq")
        })?;
        let status = jq.wait().context("cannot wait for jq")?;
        ensure!(status.success(), "jq ended with {status}");
        Ok(())
    }
}
