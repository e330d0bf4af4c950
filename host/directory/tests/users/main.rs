//! Users on SQLite and on PostgreSQL: the same promises on both.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod filters;
mod lost;
mod presets;
mod reading;
mod store;
mod validation;
mod writing;
