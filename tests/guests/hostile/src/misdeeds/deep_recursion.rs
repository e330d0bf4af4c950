//! Calls itself without end and without touching memory: the engine stops it where its stack ends.

use crate::Behaviour;
use crate::bindings::exeat::plugin::types::{Batch, Fault};
use crate::bindings::exports::exeat::plugin::transform::Output;
use crate::good;
use std::sync::atomic::{AtomicU64, Ordering};

/// The misdeed.
#[derive(Debug, Default)]
pub struct Misdeed;

impl Behaviour for Misdeed {
    fn process(&mut self, batch: Batch) -> Result<Output, Fault> {
        let names = good::names(&batch);
        Ok(good::note_of(
            batch.rows,
            &deeper(names.bytes.len() as u64).to_string(),
        ))
    }
}

/// Never reached; the compiler must not know that.
static DEEPEST: AtomicU64 = AtomicU64::new(u64::MAX);

/// Rotates what comes back, so that no loop can take its place.
fn deeper(depth: u64) -> u64 {
    if depth == DEEPEST.load(Ordering::Relaxed) {
        return depth;
    }
    deeper(depth + 1).rotate_left(7) ^ depth
}
