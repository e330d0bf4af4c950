//! Writes a side line with a line break, to smuggle a second line in: the host refuses it.

use crate::Behaviour;
use crate::bindings::exeat::plugin::types::Batch;
use crate::bindings::exports::exeat::plugin::adapter::{Encoded, SideFile, SideLine};
use crate::good;

/// The misdeed.
#[derive(Debug, Default)]
pub struct Misdeed;

impl Behaviour for Misdeed {
    fn process(&mut self, batch: Batch) -> Encoded {
        let mut encoded = good::encoded(&batch);
        encoded.side_lines.push(SideLine {
            file: SideFile::Actions,
            line: "{\"action\": \"one\"}\n{\"action\": \"another\"}".to_owned(),
        });
        encoded
    }
}
