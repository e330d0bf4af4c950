//! Returns JSON that is none: the host refuses the column.

use crate::Behaviour;
use crate::bindings::exeat::plugin::types::{Batch, ColumnType, Fault, JobContext, OfferedField, Values};
use crate::bindings::exports::exeat::plugin::transform::{Output, Plan};
use crate::good;

/// The misdeed.
#[derive(Debug, Default)]
pub struct Misdeed;

impl Behaviour for Misdeed {
    fn open(&mut self, _job: &JobContext, input: &[OfferedField]) -> Result<Plan, Fault> {
        good::plan_of(input, vec![good::computed("note", ColumnType::Json)])
    }

    fn process(&mut self, batch: Batch) -> Result<Output, Fault> {
        let mut output = good::note_of(batch.rows, "{\"a\": [}");
        for column in &mut output.columns {
            if let Values::Utf8(texts) = &column.values {
                column.values = Values::Json(texts.clone());
            }
        }
        Ok(output)
    }
}
