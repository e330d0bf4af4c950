//! Rejects the first row twice: the host refuses the output, or rows would be counted twice.

use crate::Behaviour;
use crate::bindings::exeat::plugin::types::{Batch, Fault, Reject};
use crate::bindings::exports::exeat::plugin::transform::Output;
use crate::good;

/// The misdeed.
#[derive(Debug, Default)]
pub struct Misdeed;

impl Behaviour for Misdeed {
    fn process(&mut self, batch: Batch) -> Result<Output, Fault> {
        let mut output = good::output(batch);
        output.rejects = vec![
            Reject {
                row: 0,
                field: None,
                code: "twice".to_owned(),
                message: "it is rejected again".to_owned(),
            };
            2
        ];
        Ok(output)
    }
}
