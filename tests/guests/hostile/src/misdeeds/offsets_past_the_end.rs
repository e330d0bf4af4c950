//! Returns offsets that end past the bytes: the host refuses the column before it reads a value.

use crate::Behaviour;
use crate::bindings::exeat::plugin::types::{Batch, Fault};
use crate::bindings::exports::exeat::plugin::transform::Output;
use crate::good;

/// The misdeed.
#[derive(Debug, Default)]
pub struct Misdeed;

impl Behaviour for Misdeed {
    fn process(&mut self, batch: Batch) -> Result<Output, Fault> {
        let mut offsets = vec![i32::MAX; batch.rows as usize + 1];
        offsets[0] = 0;
        Ok(good::note(offsets, b"text".to_vec()))
    }
}
