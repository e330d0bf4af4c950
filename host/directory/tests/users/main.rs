//! Users on SQLite and on PostgreSQL: the same promises on both.

mod filters;
mod lost;
mod presets;
mod reading;
mod store;
mod validation;
mod writing;
