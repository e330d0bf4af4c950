//! Passes every column on: what a plugin costs that does nothing. Not shipped; for benches.

use exeat_sdk::{Fault, Job, Output, Reject, Row, Transform, TransformPlan, Verdict};
use schemars::JsonSchema;
use serde::Deserialize;

/// There is nothing to set.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {}

/// The transform.
#[derive(Debug)]
pub struct NoOp;

impl Transform for NoOp {
    type Config = Config;

    fn open(_config: Config, _job: &Job, plan: &mut TransformPlan) -> Result<Self, Fault> {
        plan.pass_selected_except(&[]);
        Ok(Self)
    }

    fn row(&mut self, _row: Row<'_>, _out: &mut Output) -> Result<Verdict, Reject> {
        Ok(Verdict::Keep)
    }
}

exeat_sdk::export_transform!(NoOp, "Passes every column on.");
