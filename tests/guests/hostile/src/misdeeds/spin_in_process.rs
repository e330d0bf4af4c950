//! Calculates for ever in a batch: the host stops it at the deadline of a call.

use crate::Behaviour;
use crate::bindings::exeat::plugin::types::{Batch, Fault};
use crate::bindings::exports::exeat::plugin::transform::Output;

/// The misdeed.
#[derive(Debug, Default)]
pub struct Misdeed;

impl Behaviour for Misdeed {
    fn process(&mut self, _batch: Batch) -> Result<Output, Fault> {
        crate::common::spin()
    }
}
