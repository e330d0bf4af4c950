//! Write Exeat plugins in Rust: transforms and adapters, row by row.
