//! Begins a file with the name of the host's own manifest: the host refuses the name.

use crate::Behaviour;
use crate::bindings::exeat::plugin::types::Batch;
use crate::bindings::exports::exeat::plugin::adapter::Encoded;
use crate::good;

/// The misdeed.
#[derive(Debug, Default)]
pub struct Misdeed;

impl Behaviour for Misdeed {
    fn process(&mut self, batch: Batch) -> Encoded {
        good::encoded_in(&batch, "manifest.json")
    }
}
