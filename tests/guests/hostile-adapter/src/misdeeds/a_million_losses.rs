//! Returns a million losses: the host takes no more of them than its limit.
//!
//! They take about 57 MiB on this side: a memory limit below that stops it first.

use crate::Behaviour;
use crate::bindings::exeat::plugin::types::Batch;
use crate::bindings::exports::exeat::plugin::adapter::{Encoded, Loss};
use crate::good;

/// The misdeed.
#[derive(Debug, Default)]
pub struct Misdeed;

impl Behaviour for Misdeed {
    fn process(&mut self, batch: Batch) -> Encoded {
        let mut losses = Vec::with_capacity(1_000_000);
        losses.extend((0..1_000_000).map(|rows| Loss {
            field: String::new(),
            reason: String::new(),
            rows,
        }));
        let mut encoded = good::encoded(&batch);
        encoded.losses = losses;
        encoded
    }
}
