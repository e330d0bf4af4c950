//! What can go wrong. No variant carries a value: errors are logged, values never are.

/// A batch that cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The batch belongs to another file: the header or the keys would not fit its values.
    #[error("the columns of a batch are not those that the encoder was made for")]
    Columns,
    /// RFC 3339 has four digits for the year. Writing something else, or nothing, would hide
    /// that the value was there.
    #[error("column \"{column}\" holds a time before the year 0000 or after the year 9999")]
    Timestamp {
        /// Name of the column.
        column: String,
    },
}
