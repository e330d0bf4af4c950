//! Plans to pass a column on that is past the end of the schema: the host refuses the plan.

use crate::Behaviour;
use crate::bindings::exeat::plugin::types::{Fault, JobContext, OfferedField};
use crate::bindings::exports::exeat::plugin::transform::{OutputColumn, PassedColumn, Plan};
use crate::good;

/// The misdeed.
#[derive(Debug, Default)]
pub struct Misdeed;

impl Behaviour for Misdeed {
    fn open(&mut self, _job: &JobContext, input: &[OfferedField]) -> Result<Plan, Fault> {
        let passed = PassedColumn {
            input: input.len() as u32,
            name: "note".to_owned(),
        };
        good::plan_of(input, vec![OutputColumn::Pass(passed)])
    }
}
