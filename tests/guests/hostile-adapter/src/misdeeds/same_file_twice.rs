//! Begins the same file twice: the host refuses the second, or it would overwrite the first.

use crate::Behaviour;
use crate::bindings::exeat::plugin::types::Batch;
use crate::bindings::exports::exeat::plugin::adapter::Encoded;
use crate::good;

/// The misdeed.
#[derive(Debug, Default)]
pub struct Misdeed;

impl Behaviour for Misdeed {
    fn process(&mut self, batch: Batch) -> Encoded {
        let mut encoded = good::encoded(&batch);
        encoded.chunks.push(good::begin("names.txt"));
        encoded
    }
}
