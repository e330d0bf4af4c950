//! Plans 5,000 constant columns: the host takes no more than its limit.

use crate::Behaviour;
use crate::bindings::exeat::plugin::types::{Batch, Fault, JobContext, OfferedField};
use crate::bindings::exports::exeat::plugin::transform::{
    ConstantColumn, Output, OutputColumn, Plan, Scalar,
};
use crate::good;

/// The misdeed.
#[derive(Debug, Default)]
pub struct Misdeed;

impl Behaviour for Misdeed {
    fn open(&mut self, _job: &JobContext, input: &[OfferedField]) -> Result<Plan, Fault> {
        let columns = (0..5_000).map(|number| {
            OutputColumn::Constant(ConstantColumn {
                name: format!("column_{number}"),
                value: Scalar::Boolean(true),
            })
        });
        good::plan_of(input, columns.collect())
    }

    fn process(&mut self, _batch: Batch) -> Result<Output, Fault> {
        Ok(good::output_of(Vec::new()))
    }
}
