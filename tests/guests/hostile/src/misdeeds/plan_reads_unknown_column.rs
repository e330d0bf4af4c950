//! Plans to read a column past the end of the schema: the host refuses the plan.

use crate::Behaviour;
use crate::bindings::exeat::plugin::types::{Fault, JobContext, OfferedField};
use crate::bindings::exports::exeat::plugin::transform::Plan;
use crate::good;

/// The misdeed.
#[derive(Debug, Default)]
pub struct Misdeed;

impl Behaviour for Misdeed {
    fn open(&mut self, _job: &JobContext, input: &[OfferedField]) -> Result<Plan, Fault> {
        let mut plan = good::plan(input)?;
        plan.reads.push(u32::MAX);
        Ok(plan)
    }
}
