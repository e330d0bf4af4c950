//! Writes what looks like a credential: the output guard stops the batch.

use crate::Behaviour;
use crate::bindings::exeat::plugin::types::{Batch, Fault};
use crate::bindings::exports::exeat::plugin::transform::Output;
use crate::common::CREDENTIAL;
use crate::good;

/// The misdeed.
#[derive(Debug, Default)]
pub struct Misdeed;

impl Behaviour for Misdeed {
    fn process(&mut self, batch: Batch) -> Result<Output, Fault> {
        Ok(good::note_of(batch.rows, CREDENTIAL))
    }
}
