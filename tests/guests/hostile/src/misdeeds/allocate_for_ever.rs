//! Asks for memory without end and uses it: the host refuses at its limit, and says so when it traps.

use crate::Behaviour;
use crate::bindings::exeat::plugin::types::{Batch, Fault};
use crate::bindings::exports::exeat::plugin::transform::Output;

/// The misdeed.
#[derive(Debug, Default)]
pub struct Misdeed;

impl Behaviour for Misdeed {
    fn process(&mut self, _batch: Batch) -> Result<Output, Fault> {
        let mut kept: Vec<Vec<u8>> = Vec::new();
        loop {
            kept.push(std::hint::black_box(vec![1; 1 << 20]));
        }
    }
}
