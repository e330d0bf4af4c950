//! Writes what looks like a credential in two chunks: the output guard looks across the seam.

use crate::Behaviour;
use crate::bindings::exeat::plugin::types::Batch;
use crate::bindings::exports::exeat::plugin::adapter::{Chunk, Encoded};
use crate::common::CREDENTIAL;
use crate::good;

/// The misdeed.
#[derive(Debug, Default)]
pub struct Misdeed;

impl Behaviour for Misdeed {
    fn process(&mut self, batch: Batch) -> Encoded {
        let mut encoded = good::encoded(&batch);
        let (front, back) = CREDENTIAL.split_at(9);
        encoded.chunks.push(Chunk::Bytes(front.into()));
        encoded.chunks.push(Chunk::Bytes(back.into()));
        encoded
    }
}
