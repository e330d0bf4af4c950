//! What a plugin costs besides its rows: to admit, compile, load, open, and for many small exports.

use std::time::{Duration, Instant};

use exeat_sandbox::{Plugin, PluginLimits};

use crate::exports::{export, sqlite_place};
use crate::guest::{self, Workshop, open};
use crate::people::{COLUMNS, People};
use crate::results::{Results, Wanted};
use crate::rounds::median;
use crate::setup::Setup;

/// How often a thing of microseconds is done.
const OFTEN: usize = 500;

/// Measures a plugin's life.
///
/// # Errors
/// Something cannot be measured.
pub fn run(setup: &Setup, results: &mut Results) -> anyhow::Result<()> {
    println!("a plugin's life");
    let people = People::new(2_048, &COLUMNS, 2_048)?;
    let (mut compiled, mut loaded, mut opened, mut first) = (vec![], vec![], vec![], vec![]);
    for _ in 0..setup.rounds {
        let workshop = Workshop::new(&setup.exeat)?;
        let (plugin, taken) = timed(|| workshop.load(guest::MASK))?;
        compiled.push(taken);
        // As after a restart: the code comes from the disk.
        let restarted = workshop.restarted()?;
        let load = || Ok(Plugin::load(&restarted, guest::MASK, PluginLimits::default())?);
        loaded.push(timed(load)?.1);
        drop(restarted);
        // The first ones touch memory that the others find warm.
        for round in 0..OFTEN {
            let (mut chain, open_time) =
                timed(|| open(&workshop.sandbox, &plugin, "{}", people.selection()))?;
            if round == OFTEN - 1 {
                let batch = people.shaped()?.remove(0);
                drop(batch);
                first.push(first_batch(&mut chain, &people)?);
            }
            if round >= OFTEN / 10 {
                opened.push(open_time);
            }
        }
    }
    let figures = [
        ("admit and compile, ms", median(compiled) * 1e3),
        ("load from the disk cache, ms", median(loaded) * 1e3),
        ("open, warm, us", median(opened) * 1e6),
        ("first batch of 2,048 rows, us", median(first) * 1e6),
    ];
    for (name, figure) in figures {
        println!("  {name:<40} {figure:>12.1}");
    }
    results.note(
        "plugin-life",
        figures.map(|(name, figure)| (name.to_owned(), figure)),
    );
    results.claim(
        "life-open",
        "open a warm plugin",
        Wanted::AtMost(50.0),
        figures[2].1,
        " µs",
    );
    results.claim(
        "life-load",
        "open a plugin from the disk cache",
        Wanted::AtMost(5.0),
        figures[1].1 + figures[2].1 / 1e3,
        " ms",
    );
    small_exports(setup, results)
}

/// Many exports of a few users with a plugin, each a process of its own.
fn small_exports(setup: &Setup, results: &mut Results) -> anyhow::Result<()> {
    let count = if setup.quick { 50 } else { 1_000 };
    let place = sqlite_place(setup, 100)?;
    let begun = Instant::now();
    for _ in 0..count {
        let (_, file) = export(setup, &place, "small.csv", &["--transform", "pseudonymize"])?;
        std::fs::remove_file(file)?;
    }
    let each = begun.elapsed().as_secs_f64() / f64::from(count);
    println!(
        "  {count} exports of 100 users with pseudonymize, a process each: {:.1} ms each",
        each * 1e3
    );
    results.note(
        "plugin-life",
        [(
            "small export with a plugin, a process each, ms".to_owned(),
            each * 1e3,
        )],
    );
    Ok(())
}

fn first_batch(chain: &mut exeat_sandbox::Chain, people: &People) -> anyhow::Result<f64> {
    let gate = guest::gate_of(chain);
    let released = gate.release(people.raw()?.remove(0))?;
    let begun = Instant::now();
    std::hint::black_box(chain.process(released)?);
    Ok(begun.elapsed().as_secs_f64())
}

fn timed<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<(T, f64)> {
    let begun = Instant::now();
    let done = work()?;
    let taken: Duration = begun.elapsed();
    Ok((done, taken.as_secs_f64()))
}
