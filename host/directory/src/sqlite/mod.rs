//! SQLite without a round trip per row: statements stepped on the thread that needs the values.

mod raw;

pub(crate) use raw::{RawConnection, SqliteError, Statement};
