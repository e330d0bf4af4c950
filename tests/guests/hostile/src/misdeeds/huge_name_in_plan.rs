//! Names a computed column after something that is never exported, drawn out to 1 MiB with line breaks
//! in it: the host refuses the plan, and does not repeat the name.

use crate::Behaviour;
use crate::bindings::exeat::plugin::types::{ColumnType, Fault, JobContext, OfferedField};
use crate::bindings::exports::exeat::plugin::transform::Plan;
use crate::good;

/// The misdeed.
#[derive(Debug, Default)]
pub struct Misdeed;

impl Behaviour for Misdeed {
    fn open(&mut self, _job: &JobContext, input: &[OfferedField]) -> Result<Plan, Fault> {
        let name = format!("password{}hash", "_\n".repeat(1 << 19));
        good::plan_of(input, vec![good::computed(&name, ColumnType::Utf8)])
    }
}
