//! Write Exeat plugins in Rust: transforms and adapters, row by row.
//!
//! A *transform* changes rows: it maps, anonymizes, filters. An *adapter* renders rows in the
//! import format of another platform. Both run in a sandbox without clock, randomness, files or
//! network, and see only the columns that they ask for.
//!
//! ```
//! use exeat_sdk::{Fault, Job, Output, Reject, Row, Text, TextOut, Transform, TransformPlan, Verdict};
//!
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     /// Column to shout.
//!     column: String,
//! }
//!
//! struct Shout {
//!     quiet: Text,
//!     loud: TextOut,
//! }
//!
//! impl Transform for Shout {
//!     type Config = Config;
//!
//!     fn open(config: Config, _job: &Job, plan: &mut TransformPlan) -> Result<Self, Fault> {
//!         let quiet = plan.read_text(&config.column)?;
//!         plan.pass_selected_except(&[&config.column]);
//!         Ok(Self { quiet, loud: plan.compute_text(&config.column) })
//!     }
//!
//!     fn row(&mut self, row: Row<'_>, out: &mut Output) -> Result<Verdict, Reject> {
//!         if let Some(text) = row.text(self.quiet) {
//!             out.text(self.loud, &text.to_uppercase());
//!         }
//!         Ok(Verdict::Keep)
//!     }
//! }
//!
//! exeat_sdk::export_transform!(Shout, "Turns a column to upper case.");
//!
//! // And its test, in the same process, without a sandbox:
//! use exeat_sdk::test::TransformTest;
//! use serde_json::json;
//! let outcome = TransformTest::<Shout>::new(json!({"column": "name"}))
//!     .rows(&[json!({"user_id": "usr_1", "name": "Anita"})])
//!     .run()
//!     .unwrap();
//! assert_eq!(outcome.rows, [json!({"user_id": "usr_1", "name": "ANITA"})]);
//! ```
//!
//! # Shapes
//!
//! - [`Transform`] or [`Adapter`]: what a plugin is.
//! - [`TransformPlan`], [`AdapterPlan`]: what it declares when a job opens: the columns that it
//!   reads and puts out. A column that is passed on or constant never enters the sandbox.
//! - [`Row`], and handles such as [`Text`]: what it reads. [`Output`], [`Sink`]: where it writes.
//! - [`Fault`]: the job cannot go on. [`Reject`]: this row cannot go out.
//! - [`mod@test`]: runs a plugin natively on rows given as JSON, or on a folder of golden cases.

// The export macros name this crate from outside; its own bindings must find it too.
extern crate self as exeat_sdk;

#[doc(hidden)]
pub mod bindings;
mod bytes;
mod config;
mod error;
#[doc(hidden)]
pub mod export;
mod input;
mod logging;
mod output;
mod plan;
mod plugin;
mod sink;
pub mod test;

pub use bytes::{append, append_hex, append_lowercase};
pub use error::{Fault, Reject};
pub use input::{AnyColumn, Bool, Float, Int, Json, List, ListItems, Row, Text, Timestamp, Value};
pub use logging::{Level, log, log_enabled};
pub use output::{BoolOut, FloatOut, IntOut, JsonOut, Output, TextOut, TextWriter, TimestampOut};
pub use plan::{AdapterPlan, ColumnType, Constant, Field, TransformPlan};
pub use plugin::{Adapter, Job, Outcome, Transform, Verdict};
pub use sink::Sink;

#[doc(hidden)]
pub use wit_bindgen;
