//! Logs line breaks, escape sequences and direction marks, else behaves: the host makes them harmless.

use crate::Behaviour;
use crate::bindings::exeat::plugin::log;
use crate::bindings::exeat::plugin::types::{Batch, Fault, Level};
use crate::bindings::exports::exeat::plugin::transform::Output;
use crate::good;

/// The misdeed.
#[derive(Debug, Default)]
pub struct Misdeed;

impl Behaviour for Misdeed {
    fn process(&mut self, batch: Batch) -> Result<Output, Fault> {
        log::write(
            Level::Info,
            "one line\r\nERROR another\0\x1b[2J\u{9b}31m\u{202e}end\u{2028}",
        );
        Ok(good::output(batch))
    }
}
