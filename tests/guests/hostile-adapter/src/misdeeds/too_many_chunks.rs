//! Writes 100,000 chunks of one byte: the host takes no more pieces than its limit of one call.

use crate::Behaviour;
use crate::bindings::exeat::plugin::types::Batch;
use crate::bindings::exports::exeat::plugin::adapter::{Chunk, Encoded};
use crate::good;

/// The misdeed.
#[derive(Debug, Default)]
pub struct Misdeed;

impl Behaviour for Misdeed {
    fn process(&mut self, batch: Batch) -> Encoded {
        let mut encoded = good::encoded(&batch);
        encoded
            .chunks
            .extend((0..100_000).map(|_| Chunk::Bytes(b"x".to_vec())));
        encoded
    }
}
