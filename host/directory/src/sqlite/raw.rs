//! Statements on a connection that is locked out of sqlx's worker thread.
//!
//! The one file of this crate with `unsafe`. The argument, for all of it:
//!
//! - [`RawConnection`] borrows a [`LockedSqliteHandle`] exclusively: while it lives, nobody else
//!   calls SQLite with this connection, and the connection is open.
//! - A [`Statement`] borrows its `RawConnection`, so it is finalized before the lock is released.
//!   Both hold raw pointers and are therefore neither `Send` nor `Sync`.
//! - A value borrows its statement, and `step`, `reset` and `bind_*` take it by `&mut`: SQLite
//!   keeps a value's memory until the next of these calls, and no other reads the same column as
//!   another type in between.
//! - Texts and blobs are bound as transient: SQLite copies them before the call returns.
#![expect(unsafe_code, reason = "stepping SQLite's cursors directly, see above")]

use std::ffi::{CStr, c_int};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use libsqlite3_sys as ffi;
use sqlx::sqlite::LockedSqliteHandle;
use thiserror::Error;

/// SQLite said no.
#[derive(Debug, Error)]
#[error("{message} (code {code})")]
pub struct SqliteError {
    code: c_int,
    message: String,
}

impl SqliteError {
    /// Whether someone else held the database for too long.
    pub(crate) fn is_busy(&self) -> bool {
        // Extended codes have the primary one in their lowest byte.
        matches!(self.code & 0xff, ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED)
    }
}

/// A connection that is ours alone for a while.
pub(crate) struct RawConnection<'lock> {
    db: NonNull<ffi::sqlite3>,
    lock: PhantomData<&'lock mut ()>,
}

impl<'lock> RawConnection<'lock> {
    pub(crate) fn new(lock: &'lock mut LockedSqliteHandle<'_>) -> Self {
        Self {
            db: lock.as_raw_handle(),
            lock: PhantomData,
        }
    }

    /// Compiles one SQL statement.
    pub(crate) fn prepare(&self, sql: &str) -> Result<Statement<'_>, SqliteError> {
        let mut statement = ptr::null_mut();
        let length = c_int::try_from(sql.len()).unwrap_or(c_int::MAX);
        // SAFETY: the connection is open and ours; `sql` has `length` bytes; SQLite writes the
        // statement, or null, to `statement`.
        let code = unsafe {
            ffi::sqlite3_prepare_v2(
                self.db.as_ptr(),
                sql.as_ptr().cast(),
                length,
                &mut statement,
                ptr::null_mut(),
            )
        };
        match NonNull::new(statement) {
            Some(statement) if code == ffi::SQLITE_OK => Ok(Statement {
                statement,
                connection: self,
            }),
            _ => Err(self.error(code)),
        }
    }

    /// Runs a statement that has neither parameters nor results.
    pub(crate) fn execute(&self, sql: &str) -> Result<(), SqliteError> {
        let mut statement = self.prepare(sql)?;
        while statement.step()? {}
        Ok(())
    }

    fn error(&self, code: c_int) -> SqliteError {
        // SAFETY: the connection is open and ours; SQLite returns a C string that lives until the
        // next call, and it is copied here. For an error of a constraint or of the schema it names
        // tables and columns, never values.
        let message = unsafe { CStr::from_ptr(ffi::sqlite3_errmsg(self.db.as_ptr())) };
        SqliteError {
            code,
            message: message.to_string_lossy().into_owned(),
        }
    }
}

/// A compiled statement. Parameters and columns count from 1 and from 0, as in SQLite.
pub(crate) struct Statement<'connection> {
    statement: NonNull<ffi::sqlite3_stmt>,
    connection: &'connection RawConnection<'connection>,
}

impl Statement<'_> {
    /// Steps to the next row; false where there is none.
    pub(crate) fn step(&mut self) -> Result<bool, SqliteError> {
        // SAFETY: the statement is not finalized before drop; the connection is ours.
        match unsafe { ffi::sqlite3_step(self.statement.as_ptr()) } {
            ffi::SQLITE_ROW => Ok(true),
            ffi::SQLITE_DONE => Ok(false),
            code => Err(self.connection.error(code)),
        }
    }

    /// Runs the statement once with the parameters bound, and makes it ready for the next time.
    pub(crate) fn run(&mut self) -> Result<(), SqliteError> {
        let stepped = self.step();
        // SAFETY: as in `step`. The code repeats that of the step.
        unsafe { ffi::sqlite3_reset(self.statement.as_ptr()) };
        stepped.map(|_| ())
    }

    pub(crate) fn bind_i64(&mut self, parameter: c_int, value: i64) -> Result<(), SqliteError> {
        // SAFETY: as in `step`; a parameter that does not exist is an error code.
        let code = unsafe { ffi::sqlite3_bind_int64(self.statement.as_ptr(), parameter, value) };
        self.check(code)
    }

    pub(crate) fn bind_text(&mut self, parameter: c_int, value: &str) -> Result<(), SqliteError> {
        // SAFETY: as in `step`; `value` has the given length and is copied before the call returns.
        let code = unsafe {
            ffi::sqlite3_bind_text64(
                self.statement.as_ptr(),
                parameter,
                value.as_ptr().cast(),
                value.len() as u64,
                ffi::SQLITE_TRANSIENT(),
                ffi::SQLITE_UTF8 as u8,
            )
        };
        self.check(code)
    }

    pub(crate) fn bind_null(&mut self, parameter: c_int) -> Result<(), SqliteError> {
        // SAFETY: as in `bind_i64`.
        let code = unsafe { ffi::sqlite3_bind_null(self.statement.as_ptr(), parameter) };
        self.check(code)
    }

    fn check(&self, code: c_int) -> Result<(), SqliteError> {
        if code == ffi::SQLITE_OK {
            Ok(())
        } else {
            Err(self.connection.error(code))
        }
    }

    /// The integer in a column of the row at hand.
    pub(crate) fn int(&self, column: c_int) -> Option<i64> {
        // SAFETY: as in `value`.
        unsafe {
            let value = self.value(column);
            match ffi::sqlite3_value_type(value) {
                ffi::SQLITE_NULL => None,
                _ => Some(ffi::sqlite3_value_int64(value)),
            }
        }
    }

    /// The bytes of the text in a column of the row at hand. SQLite does not promise UTF-8.
    pub(crate) fn text(&self, column: c_int) -> Option<&[u8]> {
        // SAFETY: as in `value`. `value_text` converts if need be and returns memory that lives
        // until the statement moves on; `value_bytes` after it tells that memory's length.
        unsafe {
            let value = self.value(column);
            let text = ffi::sqlite3_value_text(value);
            if text.is_null() {
                return None;
            }
            let length = ffi::sqlite3_value_bytes(value);
            Some(std::slice::from_raw_parts(
                text,
                usize::try_from(length).unwrap_or_default(),
            ))
        }
    }

    /// The value in a column of the row at hand, looked up once for all that is asked of it.
    ///
    /// # Safety
    /// It may be used until the statement moves on. SQLite takes no lock for it, so that nobody
    /// else may use the connection meanwhile: nobody can, see above.
    unsafe fn value(&self, column: c_int) -> *mut ffi::sqlite3_value {
        // SAFETY: as in `step`; a column that does not exist is null.
        unsafe { ffi::sqlite3_column_value(self.statement.as_ptr(), column) }
    }
}

impl Drop for Statement<'_> {
    fn drop(&mut self) {
        // SAFETY: the statement was made by `prepare` and is finalized once. The code repeats an
        // error that `step` has reported.
        unsafe { ffi::sqlite3_finalize(self.statement.as_ptr()) };
    }
}
