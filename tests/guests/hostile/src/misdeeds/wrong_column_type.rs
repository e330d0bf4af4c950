//! Returns numbers where it planned text: the host refuses the column.

use crate::Behaviour;
use crate::bindings::exeat::plugin::types::{Batch, Column, Fault, Values};
use crate::bindings::exports::exeat::plugin::transform::Output;
use crate::good;

/// The misdeed.
#[derive(Debug, Default)]
pub struct Misdeed;

impl Behaviour for Misdeed {
    fn process(&mut self, batch: Batch) -> Result<Output, Fault> {
        let values = Values::Int64(vec![1; batch.rows as usize]);
        let column = Column {
            validity: None,
            values,
        };
        Ok(good::output_of(vec![column]))
    }
}
