//! What a row costs in a sandboxed transform: beside native code, and beside what people would use
//! instead.

use std::time::Instant;

use exeat_sandbox::{Chain, Figures};
use exeat_sdk::bindings::types;
use exeat_sdk::export::TransformRun;

use crate::guest::{self, KEY, Workshop};
use crate::native::NativeMask;
use crate::peers;
use crate::people::{BATCH_ROWS, COLUMNS, People};
use crate::results::{Results, Wanted};
use crate::rounds::{Contender, interleave, median};
use crate::setup::Setup;

const PLAN: &str = "sandbox, plan";
const ALL_COLUMNS: &str = "sandbox, every column in and out";
const NATIVE: &str = "native, by hand";
const NATIVE_SDK: &str = "native, the plugin's own code";

/// Rows of batches that are tried, and what they are called in results.
const SIZES: [(usize, &str); 6] = [
    (256, "256"),
    (1_024, "1024"),
    (2_048, "2048"),
    (4_096, "4096"),
    (8_192, "8192"),
    (16_384, "16384"),
];

/// Measures transforms.
///
/// # Errors
/// Something cannot be measured.
pub fn run(setup: &Setup, results: &mut Results) -> anyhow::Result<()> {
    println!("transforms: mask names, pseudonymize e-mail addresses, drop one column, rename two, filter");
    let people = People::new(setup.rows(), &COLUMNS, BATCH_ROWS)?;
    let workshop = Workshop::new(&setup.exeat)?;
    let plugin = workshop.load(guest::MASK)?;
    let mut wall = Vec::new();

    let mut planned = workshop.open(&plugin, "{}", people.selection())?;
    let mut touching = workshop.open(&plugin, r#"{"touch_all": true}"#, people.selection())?;
    let shaped = people.shaped()?;
    let mut native = NativeMask::new(shaped[0].schema(), KEY)?;
    let (mut run, plan) = TransformRun::<bench_mask::Mask>::open(
        guest::native_job(),
        guest::native_offer(people.selection()),
        "{}",
    )
    .map_err(|_| anyhow::anyhow!("the plugin's own code does not open"))?;
    let native_batches = native_batches(&people, &plan.reads)?;
    let rows = people.count();
    let rounds = {
        let wall = &mut wall;
        let mut contenders = [
            Contender::new(NATIVE, rows, || {
                let begun = Instant::now();
                for batch in &shaped {
                    std::hint::black_box(native.process(batch)?);
                }
                Ok(begun.elapsed())
            }),
            Contender::new(PLAN, rows, || {
                let (taken, figures) = through(&mut planned, &people)?;
                let elsewhere = figures.inside_ns + figures.guard_ns;
                wall.push(1.0 - elsewhere as f64 / figures.batch_ns.max(1) as f64);
                Ok(taken)
            }),
            Contender::new(NATIVE_SDK, rows, || {
                let begun = Instant::now();
                for batch in &native_batches {
                    std::hint::black_box(run.process(batch));
                }
                Ok(begun.elapsed())
            }),
            Contender::new(ALL_COLUMNS, rows, || Ok(through(&mut touching, &people)?.0)),
        ];
        interleave(&mut contenders, setup.rounds)?
    };
    rounds.print();
    results.note("transform", rounds.medians());
    results.claim(
        "transform-native",
        "sandboxed plan against native Rust on the same columns, epochs on: speed",
        Wanted::AtLeast(0.65),
        rounds.ratio(NATIVE, PLAN),
        "",
    );
    results.claim(
        "transform-wall",
        "the wall's share (lower, lift, validate) of a planned transform's time",
        Wanted::AtMost(12.0),
        median(wall) * 100.0,
        " %",
    );
    batch_sizes(setup, results, &workshop)?;
    beside_peers(setup, results, &workshop)
}

/// The same work, by what people would use instead. Peers take a part of the rows, as some are slow.
fn beside_peers(setup: &Setup, results: &mut Results, workshop: &Workshop) -> anyhow::Result<()> {
    let Some(programs) = &setup.peers else {
        println!("  no peers: they are measured by cargo xtask bench");
        return Ok(());
    };
    println!("the same work, by peers");
    let people = People::new(setup.peer_rows(), &COLUMNS, BATCH_ROWS)?;
    let plugin = workshop.load(guest::MASK)?;
    let mut chain = workshop.open(&plugin, "{}", people.selection())?;
    let peers = peers::start(programs, &people)?;
    let rows = people.count();
    let mut contenders = vec![Contender::new(PLAN, rows, || Ok(through(&mut chain, &people)?.0))];
    for peer in &peers {
        contenders.push(Contender::new(peer.name(), rows, || peer.run(rows)));
    }
    let rounds = interleave(&mut contenders, setup.rounds)?;
    rounds.print();
    results.note("transform-peers", rounds.medians());
    let wanted = [
        ("component-row", "one component call a row", 30.0),
        ("extism-batch", "Extism, NDJSON in batches of 1,024", 40.0),
        ("extism-row", "Extism, row by row", 200.0),
        ("jq", "jq, the same mapping without the hash", 500.0),
        ("jaq", "jaq, the same mapping without the hash", 300.0),
    ];
    for (peer, what, times) in wanted {
        results.claim(
            &format!("transform-{peer}"),
            &format!("sandboxed plan against {what}: times as fast"),
            Wanted::AtLeast(times),
            rounds.ratio(peer, PLAN),
            "×",
        );
    }
    Ok(())
}

/// Which batches are best. Exports use 2,048 rows.
fn batch_sizes(setup: &Setup, results: &mut Results, workshop: &Workshop) -> anyhow::Result<()> {
    println!("a planned transform, by rows of a batch");
    let plugin = workshop.load(guest::MASK)?;
    let mut measured = Vec::new();
    for (size, _) in SIZES {
        let people = People::new(setup.rows(), &COLUMNS, size)?;
        let chain = workshop.open(&plugin, "{}", people.selection())?;
        measured.push((people, chain));
    }
    let mut contenders = Vec::new();
    for ((people, chain), (_, name)) in measured.iter_mut().zip(SIZES) {
        let rows = people.count();
        contenders.push(Contender::new(name, rows, || Ok(through(chain, people)?.0)));
    }
    let rounds = interleave(&mut contenders, setup.rounds)?;
    rounds.print();
    results.note("transform-batch-rows", rounds.medians());
    Ok(())
}

/// Runs all rows through a chain; the gate's part is not counted.
fn through(chain: &mut Chain, people: &People) -> anyhow::Result<(std::time::Duration, Figures)> {
    let gate = guest::gate_of(chain);
    let released: Vec<_> = people
        .raw()?
        .into_iter()
        .map(|raw| gate.release(raw))
        .collect::<Result<_, _>>()?;
    for recorder in chain.recorders() {
        drop(recorder.take());
    }
    let begun = Instant::now();
    for batch in released {
        std::hint::black_box(chain.process(batch)?);
    }
    let taken = begun.elapsed();
    let mut figures = Figures::default();
    for recorder in chain.recorders() {
        figures.absorb(&recorder.take().figures);
    }
    Ok((taken, figures))
}

fn native_batches(people: &People, reads: &[u32]) -> anyhow::Result<Vec<types::Batch>> {
    let batches = people.shaped()?.into_iter().zip(0..);
    let batches = batches.map(|(batch, sequence)| types::Batch {
        sequence,
        rows: u32::try_from(batch.rows()).unwrap_or(u32::MAX),
        columns: reads
            .iter()
            .map(|read| *read as usize)
            .map(|read| guest::native_column(batch.schema()[read].column_type, &batch.columns()[read]))
            .collect(),
    });
    Ok(batches.collect())
}
