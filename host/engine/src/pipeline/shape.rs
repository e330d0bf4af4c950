//! Second stage: what was read is released by the gate and goes through the transforms. Where no
//! plugin keeps state, several lanes share the work, and the batches come out in their order.

use exeat_directory::Snapshot;
use exeat_gate::{Evidence, Gate, RawBatch};
use exeat_sandbox::{Chain, Shaped};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_util::sync::CancellationToken;

use super::{IN_FLIGHT, StageEnd};
use crate::error::ExportFailure;

/// What was read and released.
pub(super) struct Released {
    pub(super) read: u64,
    pub(super) evidence: Evidence,
}

/// Batches, in order, from all lanes in turn.
pub(super) struct ShapedBatches {
    lanes: Vec<mpsc::Receiver<Shaped>>,
    next: usize,
}

impl ShapedBatches {
    /// The next batch; nothing after the last one, or where a lane has broken off.
    pub(super) fn next(&mut self) -> Option<Shaped> {
        let shaped = self.lanes[self.next].blocking_recv();
        self.next = (self.next + 1) % self.lanes.len();
        shaped
    }
}

/// Lanes at work.
type Lanes = Vec<JoinHandle<Result<Released, StageEnd>>>;

/// Starts a lane for each chain, and who deals to them, which says in the end how many rows there
/// were.
pub(super) fn start(
    snapshot: Snapshot,
    gate: &Gate,
    chains: Vec<Chain>,
    cancel: CancellationToken,
) -> (JoinHandle<Option<u64>>, Lanes, ShapedBatches) {
    let mut working = Vec::with_capacity(chains.len());
    let mut lanes = Vec::with_capacity(chains.len());
    let mut raw_to = Vec::with_capacity(chains.len());
    for chain in chains {
        let (to_lane, raw) = mpsc::channel(IN_FLIGHT);
        let (shaped_to, shaped) = mpsc::channel(IN_FLIGHT);
        let gate = gate.clone();
        raw_to.push(to_lane);
        working.push(spawn_blocking(move || shape(raw, &gate, chain, &shaped_to)));
        lanes.push(shaped);
    }
    let dealing = tokio::spawn(deal(snapshot, cancel, raw_to));
    (dealing, working, ShapedBatches { lanes, next: 0 })
}

/// A batch as it is dealt to a lane.
struct Dealt {
    sequence: u64,
    raw: Result<RawBatch, ExportFailure>,
}

/// Deals the batches of a snapshot to the lanes in turn.
async fn deal(
    mut snapshot: Snapshot,
    cancel: CancellationToken,
    lanes: Vec<mpsc::Sender<Dealt>>,
) -> Option<u64> {
    for (sequence, lane) in (0..).zip(lanes.iter().cycle()) {
        let next = tokio::select! {
            biased;
            // A database that does not answer must not keep what the lanes hold.
            () = cancel.cancelled() => Some(Err(ExportFailure::Cancelled)),
            raw = snapshot.next() => raw.map(|raw| raw.map_err(Into::into)),
        };
        let Some(raw) = next else { break };
        let is_last = raw.is_err();
        // A lane that takes no more has a reason that it tells itself.
        if lane.send(Dealt { sequence, raw }).await.is_err() || is_last {
            return None;
        }
    }
    // The lanes end now, whatever counting takes.
    drop(lanes);
    tokio::select! {
        () = cancel.cancelled() => None,
        counted = snapshot.counted() => counted,
    }
}

/// One lane's work.
fn shape(
    mut raw: mpsc::Receiver<Dealt>,
    gate: &Gate,
    mut chain: Chain,
    shaped: &mpsc::Sender<Shaped>,
) -> Result<Released, StageEnd> {
    let mut read = 0;
    let mut evidence = gate.empty_evidence();
    while let Some(Dealt { sequence, raw }) = raw.blocking_recv() {
        let released = gate.release(raw?)?;
        read += released.rows() as u64;
        evidence.absorb(released.evidence());
        shaped
            .blocking_send(chain.process_numbered(sequence, released)?)
            .map_err(|_| StageEnd::Stopped)?;
    }
    Ok(Released { read, evidence })
}
