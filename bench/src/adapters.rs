//! What a row costs in a sandboxed adapter: beside the same code run natively.

use std::time::Instant;

use exeat_gate::{BytesGuard, FieldSelection, ShapedBatch};
use exeat_sandbox::Plugin;
use exeat_sdk::Adapter;
use exeat_sdk::bindings::adapter::exports::exeat::plugin::adapter::{Chunk, Encoded};
use exeat_sdk::bindings::types;
use exeat_sdk::export::AdapterRun;

use crate::guest::{self, Workshop};
use crate::people::{BATCH_ROWS, COLUMNS, People};
use crate::results::{Results, Wanted};
use crate::rounds::{Contender, interleave};
use crate::setup::Setup;

/// The columns that the adapter for Auth0 reads, and groups.
const AUTH0_COLUMNS: [&str; 12] = [
    "user_id",
    "email",
    "email_verified",
    "username",
    "name",
    "given_name",
    "family_name",
    "nickname",
    "picture",
    "state",
    "custom_attributes",
    "app_metadata",
];

/// Measures adapters.
///
/// # Errors
/// Something cannot be measured.
pub fn run(setup: &Setup, results: &mut Results) -> anyhow::Result<()> {
    let workshop = Workshop::new(&setup.exeat)?;
    let ndjson = workshop.load(guest::NDJSON)?;
    println!("adapters: rows in, NDJSON out");
    let people = People::new(setup.rows(), &COLUMNS, BATCH_ROWS)?;
    let ratio =
        beside_native::<bench_ndjson::Ndjson>(setup, results, "adapter-ndjson", &ndjson, &workshop, &people)?;
    results.claim(
        "adapter-native",
        "adapter in the sandbox against the same writer native: speed",
        Wanted::AtLeast(0.65),
        ratio,
        "",
    );
    println!("adapters: rows in, Auth0's import format out");
    let auth0 = exeat_shipped::find("auth0").map(|shipped| workshop.load(shipped.component));
    if let Some(auth0) = auth0 {
        let people = People::new(setup.rows() / 4, &AUTH0_COLUMNS, BATCH_ROWS)?;
        beside_native::<auth0::Auth0>(setup, results, "adapter-auth0", &auth0?, &workshop, &people)?;
    }
    Ok(())
}

/// How fast an adapter is in the sandbox, of what its own code is natively.
fn beside_native<A: Adapter>(
    setup: &Setup,
    results: &mut Results,
    group: &str,
    plugin: &Plugin,
    workshop: &Workshop,
    people: &People,
) -> anyhow::Result<f64> {
    let shaped = people.shaped()?;
    let rows = people.count();
    let rounds = {
        let mut contenders = [
            Contender::new("native", rows, || {
                let (mut run, plan) =
                    AdapterRun::<A>::open(guest::native_job(), guest::native_offer(people.selection()), "{}")
                        .map_err(|_| anyhow::anyhow!("the adapter does not open natively"))?;
                let batches = native_batches(&shaped, &plan.reads, people.selection());
                // As behind the sandbox: every byte is looked at before it may leave.
                let mut guard = BytesGuard::default();
                let mut look_at = |encoded: Encoded| {
                    encoded.chunks.iter().try_for_each(|chunk| match chunk {
                        Chunk::Bytes(bytes) => guard.check("users", bytes),
                        Chunk::BeginFile(_) => {
                            guard.begin_file();
                            Ok(())
                        }
                    })
                };
                let begun = Instant::now();
                for batch in &batches {
                    look_at(run.process(batch))?;
                }
                look_at(run.finish().map_err(|_| anyhow::anyhow!("it does not end"))?)?;
                Ok(begun.elapsed())
            }),
            Contender::new("sandbox", rows, || {
                let mut chain = workshop.open(plugin, "{}", people.selection())?;
                let mut batches = narrowed(&chain, people)?;
                let mut adapter = chain
                    .take_adapter()
                    .ok_or_else(|| anyhow::anyhow!("there is no adapter"))?;
                let begun = Instant::now();
                let mut sequence = 0;
                for batch in &mut batches {
                    std::hint::black_box(adapter.process(sequence, batch)?);
                    sequence += 1;
                }
                std::hint::black_box(adapter.finish(sequence)?);
                Ok(begun.elapsed())
            }),
        ];
        interleave(&mut contenders, setup.rounds)?
    };
    rounds.print();
    results.note(group, rounds.medians());
    Ok(rounds.ratio("native", "sandbox"))
}

/// The batches with the columns that a chain needs.
fn narrowed(chain: &exeat_sandbox::Chain, people: &People) -> anyhow::Result<Vec<ShapedBatch>> {
    let gate = guest::gate_of(chain);
    let batches = people.raw()?.into_iter();
    batches
        .map(|raw| Ok(ShapedBatch::untouched(gate.release(raw)?)))
        .collect()
}

fn native_batches(shaped: &[ShapedBatch], reads: &[u32], selection: &FieldSelection) -> Vec<types::Batch> {
    // Plugins are offered more than is selected; they read what is.
    let offered = selection.offered();
    let batches = shaped.iter().zip(0..).map(|(batch, sequence)| types::Batch {
        sequence,
        rows: u32::try_from(batch.rows()).unwrap_or(u32::MAX),
        columns: reads
            .iter()
            .filter_map(|read| {
                let name = &offered[*read as usize].0.name;
                batch.schema().iter().position(|column| column.name == *name)
            })
            .map(|place| guest::native_column(batch.schema()[place].column_type, &batch.columns()[place]))
            .collect(),
    });
    batches.collect()
}
