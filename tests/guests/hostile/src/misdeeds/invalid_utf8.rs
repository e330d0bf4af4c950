//! Returns text that is not UTF-8: the host refuses the column.

use crate::Behaviour;
use crate::bindings::exeat::plugin::types::{Batch, Fault};
use crate::bindings::exports::exeat::plugin::transform::Output;
use crate::good;

/// The misdeed.
#[derive(Debug, Default)]
pub struct Misdeed;

impl Behaviour for Misdeed {
    fn process(&mut self, batch: Batch) -> Result<Output, Fault> {
        let offsets = (0..=batch.rows as i32).map(|row| row * 2).collect();
        Ok(good::note(offsets, [0xc3, 0x28].repeat(batch.rows as usize)))
    }
}
