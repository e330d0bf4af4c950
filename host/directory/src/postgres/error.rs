//! What PostgreSQL says when it refuses, without what it quotes.

use sqlx::postgres::PgDatabaseError;
use thiserror::Error;

/// Classes of SQLSTATE whose messages name tables, columns, limits or the server's state. Those of
/// the others may quote a value, and stay behind.
const CLASSES_WITHOUT_VALUES: [&str; 13] = [
    "08", "25", "28", "3D", "3F", "40", "42", "53", "54", "55", "57", "58", "XX",
];

/// Classes of SQLSTATE after which the same may succeed: connection, rollback by conflict,
/// resources, lock not available, operator's intervention.
const TRANSIENT_CLASSES: [&str; 5] = ["08", "40", "53", "55", "57"];

/// PostgreSQL refused, or its connection was lost. Its message is kept only where it cannot quote a
/// user's value.
#[derive(Debug, Error)]
pub enum PostgresError {
    /// The connection ended, or there was none to be had.
    #[error("the connection to PostgreSQL was lost ({0})")]
    Lost(String),
    /// The server refused a statement.
    #[error("PostgreSQL refused with SQLSTATE {code}{}", detail(.message, .table, .column, .constraint))]
    Refused {
        /// Five characters, as in the appendix of PostgreSQL's manual.
        code: String,
        /// What it says, where that cannot quote a value.
        message: Option<String>,
        /// The table, where it names one.
        table: Option<String>,
        /// The column, where it names one.
        column: Option<String>,
        /// The constraint, where it names one.
        constraint: Option<String>,
    },
    /// The client library refused.
    #[error("PostgreSQL's answer could not be used: {0}")]
    Client(&'static str),
}

fn detail(
    message: &Option<String>,
    table: &Option<String>,
    column: &Option<String>,
    constraint: &Option<String>,
) -> String {
    let mut detail = String::new();
    let named = [("table", table), ("column", column), ("constraint", constraint)];
    for (what, name) in named {
        if let Some(name) = name {
            detail.push_str(&format!(", {what} {name}"));
        }
    }
    if let Some(message) = message {
        detail.push_str(&format!(": {message}"));
    }
    detail
}

impl PostgresError {
    /// Whether the same may succeed when it is tried again.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Lost(_) => true,
            Self::Refused { code, .. } => is_transient_code(code),
            Self::Client(_) => false,
        }
    }

    /// What the server said, where it may be shown; else what is known instead.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Refused {
                message: Some(message),
                ..
            } => message.clone(),
            other => other.to_string(),
        }
    }
}

impl From<sqlx::Error> for PostgresError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => match error.try_downcast_ref::<PgDatabaseError>() {
                Some(error) => of_server(error),
                None => Self::Client("an error of another database"),
            },
            sqlx::Error::Io(error) => Self::Lost(error.kind().to_string()),
            sqlx::Error::Tls(_) => Self::Lost("TLS failed".to_owned()),
            sqlx::Error::PoolTimedOut => Self::Lost("no connection was free in time".to_owned()),
            sqlx::Error::PoolClosed => Self::Lost("the pool is closed".to_owned()),
            sqlx::Error::WorkerCrashed => Self::Lost("the driver's task ended".to_owned()),
            sqlx::Error::BeginFailed => Self::Client("a transaction could not begin"),
            sqlx::Error::Protocol(_) => Self::Client("it does not follow the protocol"),
            sqlx::Error::RowNotFound => Self::Client("a row is missing"),
            _ => Self::Client("it is of another type or shape"),
        }
    }
}

fn of_server(error: &PgDatabaseError) -> PostgresError {
    let code = error.code();
    if matches!(code, "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "25P04") || code.starts_with("08") {
        return PostgresError::Lost(error.message().to_owned());
    }
    let quotable = CLASSES_WITHOUT_VALUES.contains(&code.get(..2).unwrap_or_default());
    PostgresError::Refused {
        code: code.to_owned(),
        message: quotable.then(|| error.message().to_owned()),
        table: error.table().map(str::to_owned),
        column: error.column().map(str::to_owned),
        constraint: error.constraint().map(str::to_owned),
    }
}

/// Whether what sqlx reports may succeed when it is tried again, on either database.
pub(crate) fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed => {
            true
        }
        sqlx::Error::Database(error) => error.code().is_some_and(|code| is_transient_code(&code)),
        _ => false,
    }
}

/// SQLSTATE has five characters; SQLite's extended codes are numbers with the primary code, here
/// 5 (busy) or 6 (locked), in their lowest byte.
fn is_transient_code(code: &str) -> bool {
    if matches!(code, "25P03" | "25P04") {
        // The server ended a transaction that rested for too long.
        return true;
    }
    if code.len() == 5 {
        return TRANSIENT_CLASSES.contains(&code.get(..2).unwrap_or_default());
    }
    code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_succeed_later_is_told_from_what_will_not() {
        for code in ["57P01", "08006", "40001", "53300", "55P03", "5", "517", "262"] {
            assert!(is_transient_code(code), "{code}");
        }
        for code in ["42703", "22P02", "23505", "1", "19", "2067", ""] {
            assert!(!is_transient_code(code), "{code}");
        }
    }
}
