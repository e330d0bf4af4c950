//! Reports a fault of 8 MiB with line breaks in it: the host cuts the text and cleans it.

use crate::Behaviour;
use crate::bindings::exeat::plugin::types::{Batch, Fault};
use crate::bindings::exports::exeat::plugin::transform::Output;

/// The misdeed.
#[derive(Debug, Default)]
pub struct Misdeed;

impl Behaviour for Misdeed {
    fn process(&mut self, _batch: Batch) -> Result<Output, Fault> {
        Err(Fault::Internal("no\n\x1b[31m ".repeat(1 << 20)))
    }
}
