//! Returns a million rejects: the host takes no more of them than its limit of one call.
//!
//! They take about 80 MiB on this side: a memory limit below that stops it first.

use crate::Behaviour;
use crate::bindings::exeat::plugin::types::{Batch, Fault, Reject};
use crate::bindings::exports::exeat::plugin::transform::Output;
use crate::good;

/// The misdeed.
#[derive(Debug, Default)]
pub struct Misdeed;

impl Behaviour for Misdeed {
    fn process(&mut self, batch: Batch) -> Result<Output, Fault> {
        let mut rejects = Vec::with_capacity(1_000_000);
        rejects.extend((0..1_000_000).map(|number| Reject {
            row: number % batch.rows,
            field: None,
            code: String::new(),
            message: String::new(),
        }));
        let mut output = good::output(batch);
        output.rejects = rejects;
        Ok(output)
    }
}
