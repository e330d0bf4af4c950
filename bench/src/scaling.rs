//! What becomes of time and memory when there are more users: nothing but more time, in proportion.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::exports::{export, sqlite_place};
use crate::process::{Place, exeat};
use crate::results::{Results, Wanted};
use crate::rounds::median;
use crate::setup::Setup;

/// Fewer users than this say more of a start than of a row.
const SMALLEST_OF_MEMORY: u64 = 100_000;

/// Measures growth.
///
/// # Errors
/// Something cannot be measured.
pub fn run(setup: &Setup, results: &mut Results) -> anyhow::Result<()> {
    println!("growth, from SQLite, everyday fields, CSV");
    let mut points = Vec::new();
    let mut first_bytes = Vec::new();
    for users in setup.scales() {
        let place = sqlite_place(setup, *users)?;
        // The large ones are long enough to be exact at once.
        let rounds = if *users > 1_000_000 { 3 } else { setup.rounds };
        let mut seconds = Vec::new();
        let mut peaks = Vec::new();
        for _ in 0..rounds {
            let (taken, file) = export(setup, &place, "scaling.csv", &[])?;
            std::fs::remove_file(file)?;
            seconds.push(taken.time.as_secs_f64());
            peaks.push(taken.peak_kib as f64);
        }
        let first_byte = first_byte_of_stream(setup, &place, setup.rounds)?;
        let (seconds, peak) = (median(seconds), median(peaks));
        println!(
            "  {users:>10} users {seconds:>8.3} s {peak:>8.0} KiB, first byte of a stream after {:.1} ms",
            first_byte * 1e3
        );
        results.note(
            "scaling",
            [
                (format!("{users} users, ms"), seconds * 1e3),
                (format!("{users} users, peak KiB"), peak),
                (format!("{users} users, first byte ms"), first_byte * 1e3),
            ],
        );
        points.push((*users, seconds, peak));
        first_bytes.push(first_byte);
    }
    let (largest, _, largest_peak) = *points.last().context("there are no sizes")?;
    let of_memory = points.iter().find(|(users, ..)| *users >= SMALLEST_OF_MEMORY);
    let (smaller, _, smaller_peak) = of_memory.copied().unwrap_or(points[0]);
    results.claim(
        "scaling-memory",
        &format!("peak memory at {largest} users against {smaller}"),
        Wanted::AtMost(1.1),
        largest_peak / smaller_peak,
        "×",
    );
    results.claim(
        "scaling-first-byte",
        &format!("time to the first byte of a stream at {largest} users"),
        Wanted::AtMost(100.0),
        first_bytes.last().copied().unwrap_or_default() * 1e3,
        " ms",
    );
    let exponent = exponent(
        &points
            .iter()
            .map(|(users, time, _)| (*users as f64, *time))
            .collect::<Vec<_>>(),
    );
    results.claim(
        "scaling-exponent",
        &format!("exponent of time over users, {} to {largest}", points[0].0),
        Wanted::AtMost(1.03),
        exponent,
        "",
    );
    Ok(())
}

/// The slope of time over users where both are logarithms: least squares.
fn exponent(points: &[(f64, f64)]) -> f64 {
    let logs: Vec<(f64, f64)> = points
        .iter()
        .map(|(users, time)| (users.ln(), time.ln()))
        .collect();
    let count = logs.len() as f64;
    let mean_x = logs.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = logs.iter().map(|(_, y)| y).sum::<f64>() / count;
    let covariance: f64 = logs.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let variance: f64 = logs.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    covariance / variance
}

/// Seconds from a request to the first byte of the rows: the median of some requests.
fn first_byte_of_stream(setup: &Setup, place: &Place, rounds: usize) -> anyhow::Result<f64> {
    let args = ["token", "create", "--tenant", "acme", "--name", "bench"];
    let token = exeat(&setup.exeat, place, &args).output()?;
    let token = String::from_utf8(token.stdout)?.trim().to_owned();
    let server = Server::start(exeat(&setup.exeat, place, &["serve", "--listen", "127.0.0.1:0"]))?;
    let url = format!("{}/v1/users/stream", server.url);
    let mut seconds = Vec::new();
    for round in 0..=rounds {
        let begun = Instant::now();
        let mut answer = ureq::get(&url)
            .header("Authorization", format!("Bearer {token}"))
            .call()?;
        let mut byte = [0];
        answer.body_mut().as_reader().read_exact(&mut byte)?;
        if round > 0 {
            seconds.push(begun.elapsed().as_secs_f64());
        }
        // The rest is cut off: give the server a moment to see it.
        drop(answer);
        std::thread::park_timeout(Duration::from_millis(50));
    }
    Ok(median(seconds))
}

/// A running server, killed when dropped.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(mut command: Command) -> anyhow::Result<Self> {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(child.stderr.take().context("its standard error is ours")?);
        let mut line = String::new();
        while !line.contains("listening on ") {
            line.clear();
            if lines.read_line(&mut line)? == 0 {
                bail!("the server ended before it listened");
            }
        }
        // Its log must be read, or the server would wait for a reader.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        let url = line.trim().rsplit(' ').next().unwrap_or_default().to_owned();
        Ok(Self { child, url })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
