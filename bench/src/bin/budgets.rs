//! `exeat-budgets CASE TIMES FOLDER`: does the work of a case so many times, for callgrind to count.
//! What is counted for more work, less what is counted for once, is the work: starting and setting
//! up cancel out. `cargo xtask budgets` does that and compares with what is allowed.
//!
//! Guests are counted by wasmtime itself, as fuel, which is printed: under valgrind, neither the
//! sandbox's address space nor its clocks are what they are elsewhere.
//!
//! `exeat-budgets cases` says which there are, of how many rows, and who counts; `exeat-budgets
//! prepare FOLDER` makes the users that are read.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use exeat_bench::guest::{self, Workshop};
use exeat_bench::people::{BATCH_ROWS, COLUMNS, People};
use exeat_directory::filter::Filter;
use exeat_directory::{Counting, DatabaseUrl, Directory, DirectoryError, generate};
use exeat_encode::{Format, FormulaPolicy};
use exeat_gate::{FieldSelection, Gate};
use exeat_sandbox::compiler;
use exeat_test_servers::postgres::PostgresCluster;

/// Rows of every case: two batches.
const ROWS: u64 = 2 * BATCH_ROWS as u64;

/// The columns of a whole user, JSON and lists among them.
const WHOLE: [&str; 13] = [
    "user_id",
    "email",
    "email_verified",
    "name",
    "given_name",
    "family_name",
    "state",
    "created_at",
    "last_signed_in_at",
    "logins_count",
    "groups",
    "custom_attributes",
    "app_metadata",
];

type Work = fn(u32, &Path) -> anyhow::Result<()>;

/// Name, who counts, and what is done.
type Case = (&'static str, &'static str, Work);

const CALLGRIND: &str = "callgrind";
const FUEL: &str = "fuel";

const CASES: [Case; 8] = [
    ("gate", CALLGRIND, gate),
    ("csv", CALLGRIND, |times, _| encode(Format::Csv, times)),
    ("ndjson", CALLGRIND, |times, _| encode(Format::Ndjson, times)),
    ("read-sqlite", CALLGRIND, read_sqlite),
    ("read-postgres", CALLGRIND, read_postgres),
    ("transform", FUEL, |times, _| plugin(guest::MASK, times)),
    ("pseudonymize", FUEL, |times, _| shipped("pseudonymize", times)),
    ("adapter", FUEL, |times, _| plugin(guest::NDJSON, times)),
];

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let word = args.next().unwrap_or_default();
    if word == compiler::COMMAND {
        return compiler::main(args);
    }
    let done = match (word.as_str(), args.next(), args.next()) {
        ("cases", None, None) => {
            CASES
                .iter()
                .for_each(|(name, counter, _)| println!("{name} {ROWS} {counter}"));
            Ok(())
        }
        ("prepare", Some(folder), None) => prepare(Path::new(&folder)),
        (name, Some(times), Some(folder)) => run(name, &times, Path::new(&folder)),
        _ => Err(anyhow::anyhow!(
            "exeat-budgets cases | prepare FOLDER | CASE TIMES FOLDER"
        )),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(name: &str, times: &str, folder: &Path) -> anyhow::Result<()> {
    let case = CASES.iter().find(|(case, ..)| *case == name);
    let (.., work) = case.with_context(|| format!("there is no case {name}"))?;
    work(times.parse().context("TIMES is a number")?, folder)
}

fn gate(times: u32, _: &Path) -> anyhow::Result<()> {
    let people = People::new(ROWS, &WHOLE, BATCH_ROWS)?;
    let gate = Gate::new(people.selection().selected().to_vec(), false);
    for _ in 0..times {
        for raw in people.raw()? {
            std::hint::black_box(gate.release(raw)?);
        }
    }
    Ok(())
}

fn encode(format: Format, times: u32) -> anyhow::Result<()> {
    let people = People::new(ROWS, &WHOLE, BATCH_ROWS)?;
    let shaped = people.shaped()?;
    let mut encoder = format.encoder(shaped[0].schema(), FormulaPolicy::default());
    let mut out = Vec::new();
    for _ in 0..times {
        for batch in &shaped {
            out.clear();
            encoder.encode(batch, &mut out)?;
            std::hint::black_box(&out);
        }
    }
    Ok(())
}

fn shipped(name: &str, times: u32) -> anyhow::Result<()> {
    let shipped = exeat_shipped::find(name).with_context(|| format!("{name} does not ship"))?;
    plugin(shipped.component, times)
}

fn plugin(component: &[u8], times: u32) -> anyhow::Result<()> {
    let people = People::new(ROWS, &COLUMNS, BATCH_ROWS)?;
    let workshop = Workshop::metered(&std::env::current_exe()?)?;
    let plugin = workshop.load(component)?;
    let mut chain = workshop.open(&plugin, "{}", people.selection())?;
    let recorders = chain.recorders();
    let gate = guest::gate_of(&chain);
    let mut adapter = chain.take_adapter();
    for _ in 0..times {
        for raw in people.raw()? {
            let shaped = chain.process(gate.release(raw)?)?;
            match &mut adapter {
                Some(adapter) => drop(adapter.process(shaped.sequence, &shaped.batch)?),
                None => drop(std::hint::black_box(shaped)),
            }
        }
    }
    let fuel = recorders
        .iter()
        .filter_map(|recorder| recorder.take().figures.fuel);
    println!("{}", fuel.sum::<u64>());
    Ok(())
}

fn prepare(folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    fill(&Directory::in_folder(folder))
}

fn read_sqlite(times: u32, folder: &Path) -> anyhow::Result<()> {
    read(&Directory::in_folder(folder), times)
}

/// PostgreSQL runs beside, and is not counted.
fn read_postgres(times: u32, _: &Path) -> anyhow::Result<()> {
    let url: DatabaseUrl = PostgresCluster::shared().create_database().parse()?;
    fill(&url)?;
    read(&url, times)
}

fn fill(url: &DatabaseUrl) -> anyhow::Result<()> {
    on_one_thread(async {
        let directory = Directory::open(url).await?;
        let (tenant, _) = directory.ensure_tenant("acme").await?;
        let filled = directory.write_users(&tenant, |writer| {
            generate::users(ROWS, 7).try_for_each(|user| writer.write(&user))
        });
        filled.await.map_err(|error: DirectoryError| error.into())
    })
}

fn read(url: &DatabaseUrl, times: u32) -> anyhow::Result<()> {
    let selection = FieldSelection::named(&WHOLE)?;
    on_one_thread(async {
        let directory = Directory::open(url).await?;
        let (tenant, _) = directory.ensure_tenant("acme").await?;
        for _ in 0..times {
            let filter = Filter::default();
            let mut snapshot = directory.snapshot(&tenant, &filter, Counting::First).await?;
            snapshot.read(selection.selected().to_vec());
            let mut rows = 0;
            while let Some(batch) = snapshot.next().await {
                rows += batch?.rows() as u64;
            }
            if rows != ROWS {
                bail!("{rows} users were read");
            }
        }
        Ok(())
    })
}

fn on_one_thread<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
}
