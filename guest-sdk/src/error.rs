//! Saying no: to a job, and to a row.

use crate::bindings::types;

/// Why a plugin cannot start, or cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The configuration is wrong.
    Config {
        /// Where: a JSON pointer (RFC 6901), `""` for the whole.
        pointer: String,
        /// What is wrong there, for the person who wrote it.
        message: String,
    },
    /// A column is missing or has another type.
    Schema {
        /// The column.
        field: String,
        /// What is wrong with it.
        message: String,
    },
    /// The plugin failed for a reason of its own.
    Internal(String),
}

impl Fault {
    /// The configuration is wrong at this JSON pointer.
    pub fn config(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Config {
            pointer: pointer.into(),
            message: message.into(),
        }
    }

    /// A column is missing or has another type.
    pub fn schema(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Schema {
            field: field.into(),
            message: message.into(),
        }
    }

    /// The same fault, blamed on the part of the configuration that named the column.
    #[must_use]
    pub fn at(self, pointer: &str) -> Self {
        match self {
            Self::Schema { field, message } => {
                Self::config(pointer, format!("the column \"{field}\" {message}"))
            }
            other => other,
        }
    }
}

impl From<Fault> for types::Fault {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Config { pointer, message } => {
                Self::InvalidConfig(types::ConfigError { pointer, message })
            }
            Fault::Schema { field, message } => {
                Self::UnsupportedSchema(types::SchemaError { field, message })
            }
            Fault::Internal(message) => Self::Internal(message),
        }
    }
}

/// A row that cannot go out, and why. The message must not quote the row's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    pub(crate) field: Option<String>,
    pub(crate) code: String,
    pub(crate) message: String,
}

impl Reject {
    /// A reject with a short code, such as `missing` or `too_long`, and a sentence.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: None,
            code: code.into(),
            message: message.into(),
        }
    }

    /// The same, blamed on one field.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    pub(crate) fn at(self, row: u32) -> types::Reject {
        types::Reject {
            row,
            field: self.field,
            code: self.code,
            message: self.message,
        }
    }
}
