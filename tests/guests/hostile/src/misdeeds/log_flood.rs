//! Logs 100,000 lines in one call, else behaves: the host cuts the log and goes on.

use crate::Behaviour;
use crate::bindings::exeat::plugin::log;
use crate::bindings::exeat::plugin::types::{Batch, Fault, Level};
use crate::bindings::exports::exeat::plugin::transform::Output;
use crate::good;

/// The misdeed.
#[derive(Debug, Default)]
pub struct Misdeed;

impl Behaviour for Misdeed {
    fn process(&mut self, batch: Batch) -> Result<Output, Fault> {
        for _ in 0..100_000 {
            log::write(Level::Error, "a line of a flood");
        }
        Ok(good::output(batch))
    }
}
