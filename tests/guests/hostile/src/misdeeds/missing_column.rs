//! Returns no column where it planned one: the host refuses the output.

use crate::Behaviour;
use crate::bindings::exeat::plugin::types::{Batch, Fault};
use crate::bindings::exports::exeat::plugin::transform::Output;
use crate::good;

/// The misdeed.
#[derive(Debug, Default)]
pub struct Misdeed;

impl Behaviour for Misdeed {
    fn process(&mut self, _batch: Batch) -> Result<Output, Fault> {
        Ok(good::output_of(Vec::new()))
    }
}
