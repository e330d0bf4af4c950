//! Returns 32 MiB for one batch: the host takes no more than its limit of one call.

use crate::Behaviour;
use crate::bindings::exeat::plugin::types::{Batch, Fault};
use crate::bindings::exports::exeat::plugin::transform::Output;
use crate::good;

/// The misdeed.
#[derive(Debug, Default)]
pub struct Misdeed;

impl Behaviour for Misdeed {
    fn process(&mut self, batch: Batch) -> Result<Output, Fault> {
        const BYTES: usize = 32 << 20;
        let mut offsets = vec![BYTES as i32; batch.rows as usize + 1];
        offsets[0] = 0;
        Ok(good::note(offsets, vec![b'x'; BYTES]))
    }
}
