//! Names a computed column after something that is never exported: the host refuses the plan.

use crate::Behaviour;
use crate::bindings::exeat::plugin::types::{ColumnType, Fault, JobContext, OfferedField};
use crate::bindings::exports::exeat::plugin::transform::Plan;
use crate::good;

/// The misdeed.
#[derive(Debug, Default)]
pub struct Misdeed;

impl Behaviour for Misdeed {
    fn open(&mut self, _job: &JobContext, input: &[OfferedField]) -> Result<Plan, Fault> {
        good::plan_of(input, vec![good::computed("password_hash", ColumnType::Utf8)])
    }
}
