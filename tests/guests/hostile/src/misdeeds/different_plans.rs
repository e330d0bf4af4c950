//! Plans another column name where the last byte of the job's id is odd: for one job the plan is the
//! same, from one job to the next it is not, so the host must not carry a plan over.
//!
//! A guest has no state that outlives its instance, no clock and no randomness: within one job it
//! cannot plan differently.

use crate::Behaviour;
use crate::bindings::exeat::plugin::types::{ColumnType, Fault, JobContext, OfferedField};
use crate::bindings::exports::exeat::plugin::transform::Plan;
use crate::good;

/// The misdeed.
#[derive(Debug, Default)]
pub struct Misdeed;

impl Behaviour for Misdeed {
    fn open(&mut self, job: &JobContext, input: &[OfferedField]) -> Result<Plan, Fault> {
        let odd = job.job_id.bytes().last().is_some_and(|byte| byte % 2 == 1);
        let name = if odd { "note_odd" } else { "note" };
        good::plan_of(input, vec![good::computed(name, ColumnType::Utf8)])
    }
}
