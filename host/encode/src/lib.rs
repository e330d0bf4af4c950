//! Makes bytes of shaped batches: CSV, NDJSON, compression.
//!
//! ```text
//! ShapedBatch ──Encoder::encode──► rows as text ──Compressor::write──► bytes of a part
//! ```
//!
//! An encoder takes nothing less than a [`ShapedBatch`](exeat_gate::ShapedBatch): rows that the
//! gate let go. Both steps append to a buffer that the caller owns, so that a part of any
//! length is made in constant memory, and a buffer is used again and again.
//!
//! The same rows give the same text, however they are cut into batches: nothing here knows the
//! time, the machine or a random number.

mod compress;
mod csv;
mod error;
mod format;
mod formula;
mod named;
mod ndjson;
mod scan;
#[cfg(test)]
mod testing;
mod time;
mod value;

pub use compress::{Compression, Compressor};
pub use csv::CsvEncoder;
pub use error::EncodeError;
pub use format::{Encoder, Format};
pub use formula::FormulaPolicy;
pub use named::UnknownName;
pub use ndjson::NdjsonEncoder;
