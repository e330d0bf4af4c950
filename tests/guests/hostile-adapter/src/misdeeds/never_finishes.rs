//! Calculates for ever after the last batch: the host stops it at the deadline of a call.

use crate::Behaviour;
use crate::bindings::exports::exeat::plugin::adapter::Encoded;

/// The misdeed.
#[derive(Debug, Default)]
pub struct Misdeed;

impl Behaviour for Misdeed {
    fn finish(&mut self) -> Encoded {
        crate::common::spin()
    }
}
