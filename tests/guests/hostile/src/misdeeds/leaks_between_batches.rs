//! Keeps 8 MiB of every batch for ever: some later batch meets the memory limit, and a fresh instance
//! could have done that batch.

use crate::Behaviour;
use crate::bindings::exeat::plugin::types::{Batch, Fault};
use crate::bindings::exports::exeat::plugin::transform::Output;
use crate::good;

/// The misdeed.
#[derive(Debug, Default)]
pub struct Misdeed {
    kept: Vec<Vec<u8>>,
}

impl Behaviour for Misdeed {
    fn process(&mut self, batch: Batch) -> Result<Output, Fault> {
        self.kept.push(vec![1; 8 << 20]);
        Ok(good::output(batch))
    }
}
