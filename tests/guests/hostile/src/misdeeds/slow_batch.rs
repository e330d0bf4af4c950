//! Takes about 300 ms for each batch, well under the deadline of a call: for budgets of a whole job.

use crate::Behaviour;
use crate::bindings::exeat::plugin::types::{Batch, Fault};
use crate::bindings::exports::exeat::plugin::transform::Output;
use crate::good;

/// The misdeed.
#[derive(Debug, Default)]
pub struct Misdeed;

impl Behaviour for Misdeed {
    fn process(&mut self, batch: Batch) -> Result<Output, Fault> {
        let mut turns = TURNS;
        while turns > 0 {
            turns = std::hint::black_box(turns - 1);
        }
        Ok(good::output(batch))
    }
}

/// There is no clock in here: where this was written, this many turns take about 300 ms.
const TURNS: u64 = 450_000_000;
