//! Real servers that tests start for themselves, and stop when they are dropped.

pub mod postgres;
pub mod s3;
