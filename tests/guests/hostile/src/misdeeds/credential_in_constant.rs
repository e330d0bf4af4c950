//! Makes a constant column of a credential: the output guard stops it, though it never crosses in a batch.

use crate::Behaviour;
use crate::bindings::exeat::plugin::types::{Batch, Fault, JobContext, OfferedField};
use crate::bindings::exports::exeat::plugin::transform::{
    ConstantColumn, Output, OutputColumn, Plan, Scalar,
};
use crate::common::CREDENTIAL;
use crate::good;

/// The misdeed.
#[derive(Debug, Default)]
pub struct Misdeed;

impl Behaviour for Misdeed {
    fn open(&mut self, _job: &JobContext, input: &[OfferedField]) -> Result<Plan, Fault> {
        let constant = ConstantColumn {
            name: "note".to_owned(),
            value: Scalar::Utf8(CREDENTIAL.to_owned()),
        };
        good::plan_of(input, vec![OutputColumn::Constant(constant)])
    }

    fn process(&mut self, _batch: Batch) -> Result<Output, Fault> {
        Ok(good::output_of(Vec::new()))
    }
}
