//! Programs that are measured as a whole: time from start to end, and most memory.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// What a run took.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// From start to end.
    pub time: Duration,
    /// Most memory, in KiB; as far as it was seen.
    pub peak_kib: u64,
}

/// Runs a command to its end.
///
/// # Errors
/// It cannot be started, or fails.
pub fn run(command: &mut Command) -> anyhow::Result<Taken> {
    let begun = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{} cannot be started", command.get_program().to_string_lossy()))?;
    let mut peak_kib = 0;
    let (status, time) = loop {
        peak_kib = peak_kib.max(peak_of(child.id()).unwrap_or_default());
        if let Some(status) = child.try_wait()? {
            break (status, begun.elapsed());
        }
        std::thread::park_timeout(LOOK);
    };
    if !status.success() {
        let mut text = String::new();
        if let Some(mut stderr) = child.stderr.take() {
            std::io::Read::read_to_string(&mut stderr, &mut text)?;
        }
        bail!(
            "{} ended with {status}: {}",
            command.get_program().to_string_lossy(),
            text.trim()
        );
    }
    Ok(Taken { time, peak_kib })
}

/// The most memory that a process had so far, in KiB.
pub fn peak_of(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}

/// An `exeat` command on a place.
pub fn exeat(binary: &Path, place: &Place, args: &[&str]) -> Command {
    let mut command = Command::new(binary);
    command.args(args).env("EXEAT_DATA", &place.data);
    if let Some(database) = &place.database {
        command.env("EXEAT_DATABASE", database);
    }
    command
}

/// Where an `exeat` command finds its users.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its data folder.
    pub data: std::path::PathBuf,
    /// A PostgreSQL URL, if users are not in the folder.
    pub database: Option<String>,
}
