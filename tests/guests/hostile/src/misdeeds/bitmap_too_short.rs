//! Returns a validity bitmap without a single bit: the host refuses the column.

use crate::Behaviour;
use crate::bindings::exeat::plugin::types::{Batch, Fault};
use crate::bindings::exports::exeat::plugin::transform::Output;
use crate::good;

/// The misdeed.
#[derive(Debug, Default)]
pub struct Misdeed;

impl Behaviour for Misdeed {
    fn process(&mut self, batch: Batch) -> Result<Output, Fault> {
        let mut output = good::note_of(batch.rows, "x");
        output
            .columns
            .iter_mut()
            .for_each(|column| column.validity = Some(Vec::new()));
        Ok(output)
    }
}
