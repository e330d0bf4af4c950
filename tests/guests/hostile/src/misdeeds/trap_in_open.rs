//! Traps when a job opens: the host reports the trap.

use crate::Behaviour;
use crate::bindings::exeat::plugin::types::{Fault, JobContext, OfferedField};
use crate::bindings::exports::exeat::plugin::transform::Plan;

/// The misdeed.
#[derive(Debug, Default)]
pub struct Misdeed;

impl Behaviour for Misdeed {
    fn open(&mut self, _job: &JobContext, _input: &[OfferedField]) -> Result<Plan, Fault> {
        std::process::abort()
    }
}
