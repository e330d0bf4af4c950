//! Asks for memory a page at a time and, once refused, asks on for ever: the host refuses each time
//! and stops it at the deadline.

use crate::Behaviour;
use crate::bindings::exeat::plugin::types::{Batch, Fault};
use crate::bindings::exports::exeat::plugin::transform::Output;

/// The misdeed.
#[derive(Debug, Default)]
pub struct Misdeed;

impl Behaviour for Misdeed {
    fn process(&mut self, _batch: Batch) -> Result<Output, Fault> {
        loop {
            grow();
        }
    }
}

/// One page more, past the allocator.
#[cfg(target_arch = "wasm32")]
fn grow() {
    std::hint::black_box(core::arch::wasm32::memory_grow::<0>(1));
}

#[cfg(not(target_arch = "wasm32"))]
fn grow() {}
