//! Traps after the last batch: the host reports the trap, and the export fails.

use crate::Behaviour;
use crate::bindings::exports::exeat::plugin::adapter::Encoded;

/// The misdeed.
#[derive(Debug, Default)]
pub struct Misdeed;

impl Behaviour for Misdeed {
    fn finish(&mut self) -> Encoded {
        std::process::abort()
    }
}
