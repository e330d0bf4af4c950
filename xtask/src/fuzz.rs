//! `cargo xtask fuzz`: damaged components against the released command, one process for each.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::mutate::mutated;

const SEEDS: u64 = 1_000;

/// Where the sound components are, each in a folder of its own.
const ORIGINALS: &str = "../tests/abi/v0_1";

/// Longest time of one check. A component that compiles needs a second or two.
const MOST_TIME: Duration = Duration::from_secs(60);

/// Writable memory that a process may have, touched or not. 320 MiB of it are the tables of the pool
/// that guests would live in, of which a check touches next to nothing.
const MOST_MEMORY_KIB: u64 = 768 << 10;

/// How often the memory of a process is read off while it runs.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Checks so many damaged components. `seeds` is the number, or nothing.
pub(crate) fn fuzz(binary: &Path, seeds: Option<&str>) -> Outcome {
    let seeds = match seeds {
        None => SEEDS,
        Some(text) => text
            .parse()
            .map_err(|_| format!("\"{text}\" is no number of seeds"))?,
    };
    let originals = originals().map_err(|error| format!("{ORIGINALS} cannot be read: {error}"))?;
    let folder = std::env::temp_dir().join(format!("exeat-fuzz-{}", std::process::id()));
    fs::create_dir_all(&folder).map_err(|error| format!("{} cannot be made: {error}", folder.display()))?;
    let done = check_all(binary, &folder, &originals, seeds);
    // It is in the system's folder for such things: one that stays does no harm.
    let _ = fs::remove_dir_all(&folder);
    done
}

fn originals() -> std::io::Result<Vec<Vec<u8>>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(ORIGINALS);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        files.push(entry?.path().join("component.wasm"));
    }
    files.retain(|file| file.exists());
    files.sort();
    files.iter().map(fs::read).collect()
}

/// What one check came to.
struct Checked {
    /// The code of the refusal, or `admitted`; or what went wrong.
    code: Result<String, String>,
    took: Duration,
    peak_kib: u64,
}

fn check_all(binary: &Path, folder: &Path, originals: &[Vec<u8>], seeds: u64) -> Outcome {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut slowest = (Duration::ZERO, 0);
    let mut largest = (0, 0);
    for seed in 0..seeds {
        let file = folder.join("component.wasm");
        fs::write(&file, mutated(originals, seed)).map_err(|error| error.to_string())?;
        let checked = check(binary, folder, &file)?;
        slowest = slowest.max((checked.took, seed));
        largest = largest.max((checked.peak_kib, seed));
        match checked.code {
            Ok(code) => *counts.entry(code).or_default() += 1,
            Err(what) => {
                eprintln!("seed {seed}: {what}");
                wrong.push(seed);
            }
        }
    }
    for (code, count) in &counts {
        println!("{count:>8}  {code}");
    }
    println!("slowest: {:.2} s (seed {})", slowest.0.as_secs_f64(), slowest.1);
    println!(
        "largest: {} MiB of memory (seed {}), of {} MiB",
        largest.0 >> 10,
        largest.1,
        MOST_MEMORY_KIB >> 10
    );
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(format!("{} of {seeds} seeds went wrong: {wrong:?}", wrong.len()))
    }
}

/// Runs the command on a file. The shell sets the limit of memory, which the processes that compile
/// inherit.
fn check(binary: &Path, folder: &Path, file: &Path) -> Result<Checked, String> {
    let output = |name: &str| {
        let path = folder.join(name);
        let file = fs::File::create(&path).map_err(|error| error.to_string())?;
        Ok::<_, String>((path, file))
    };
    let (stdout, stdout_file) = output("stdout")?;
    let (stderr, stderr_file) = output("stderr")?;
    let begun = Instant::now();
    let mut child = Command::new("sh")
        .args(["-c", &format!("ulimit -d {MOST_MEMORY_KIB} && exec \"$@\""), "sh"])
        .arg(binary)
        .args(["plugin", "check", "--json"])
        .arg(file)
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .stdin(Stdio::null())
        .stdout(stdout_file)
        .stderr(stderr_file)
        .spawn()
        .map_err(|error| format!("sh cannot be started: {error}"))?;
    let (ended, peak_kib) = watch(&mut child, begun).map_err(|error| error.to_string())?;
    let took = begun.elapsed();
    let read = |path: &PathBuf| fs::read_to_string(path).unwrap_or_default();
    let code = match ended {
        None => Err(format!("still running after {} s", MOST_TIME.as_secs())),
        Some(status) => answer(status.code(), &read(&stdout)).ok_or_else(|| {
            let said: String = read(&stderr).chars().take(500).collect();
            format!("{status}: {said}")
        }),
    };
    Ok(Checked { code, took, peak_kib })
}

/// Its status, if it ended in time, and the most memory that it was seen to have.
fn watch(child: &mut Child, begun: Instant) -> std::io::Result<(Option<std::process::ExitStatus>, u64)> {
    let mut peak_kib = 0;
    loop {
        peak_kib = peak_kib.max(peak_of(child.id()));
        if let Some(status) = child.try_wait()? {
            return Ok((Some(status), peak_kib));
        }
        if begun.elapsed() > MOST_TIME {
            child.kill()?;
            child.wait()?;
            return Ok((None, peak_kib));
        }
        std::thread::park_timeout(LOOK_EVERY);
    }
}

/// The most memory that a process, or one that it started, had so far; 0 once it is gone.
fn peak_of(process: u32) -> u64 {
    let read = |file: &str| fs::read_to_string(format!("/proc/{process}/{file}")).unwrap_or_default();
    let own = read("status")
        .lines()
        .find_map(|line| {
            line.strip_prefix("VmHWM:")?
                .trim()
                .strip_suffix("kB")?
                .trim()
                .parse()
                .ok()
        })
        .unwrap_or_default();
    let started = read(&format!("task/{process}/children"));
    let started = started.split_whitespace().filter_map(|id| id.parse().ok());
    started.map(peak_of).fold(own, u64::max)
}

/// What the command said of the component: nothing where its code or its JSON is wrong.
fn answer(code: Option<i32>, stdout: &str) -> Option<String> {
    let json = stdout.trim();
    if !json.starts_with('{') || !json.ends_with('}') {
        return None;
    }
    match code? {
        0 if json.contains("\"admitted\": true") => Some("admitted".to_owned()),
        4 if json.contains("\"admitted\": false") => {
            let (_, rest) = json.split_once("\"code\": \"")?;
            Some(rest.split('"').next()?.to_owned())
        }
        _ => None,
    }
}
