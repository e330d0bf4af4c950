//! Returns every name a thousand times over: for limits on what all the output may come to.

use crate::Behaviour;
use crate::bindings::exeat::plugin::types::{Batch, Fault};
use crate::bindings::exports::exeat::plugin::transform::Output;
use crate::good;

/// The misdeed.
#[derive(Debug, Default)]
pub struct Misdeed;

impl Behaviour for Misdeed {
    fn process(&mut self, batch: Batch) -> Result<Output, Fault> {
        let names = good::names(&batch);
        let mut bytes = Vec::new();
        let mut offsets = vec![0];
        for ends in names.offsets.windows(2) {
            let text = &names.bytes[ends[0] as usize..ends[1] as usize];
            bytes.extend(text.repeat(1_000));
            offsets.push(bytes.len() as i32);
        }
        Ok(good::note(offsets, bytes))
    }
}
