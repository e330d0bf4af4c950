//! Traps on the third batch of each instance: a fresh instance could have done that batch.

use crate::Behaviour;
use crate::bindings::exeat::plugin::types::{Batch, Fault};
use crate::bindings::exports::exeat::plugin::transform::Output;
use crate::good;

/// The misdeed.
#[derive(Debug, Default)]
pub struct Misdeed {
    batches: u32,
}

impl Behaviour for Misdeed {
    fn process(&mut self, batch: Batch) -> Result<Output, Fault> {
        self.batches += 1;
        if self.batches == 3 {
            std::process::abort();
        }
        Ok(good::output(batch))
    }
}
