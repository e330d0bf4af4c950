//! Rejects the row after the last: the host refuses the output.

use crate::Behaviour;
use crate::bindings::exeat::plugin::types::{Batch, Fault, Reject};
use crate::bindings::exports::exeat::plugin::transform::Output;
use crate::good;

/// The misdeed.
#[derive(Debug, Default)]
pub struct Misdeed;

impl Behaviour for Misdeed {
    fn process(&mut self, batch: Batch) -> Result<Output, Fault> {
        let row = batch.rows;
        let mut output = good::output(batch);
        output.rejects.push(Reject {
            row,
            field: None,
            code: "missing".to_owned(),
            message: "there is no such row".to_owned(),
        });
        Ok(output)
    }
}
