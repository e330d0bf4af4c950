//! Logs one line of 8 MiB, else behaves: the host cuts the line and goes on.

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
        log::write(Level::Info, &"x".repeat(8 << 20));
        Ok(good::output(batch))
    }
}
