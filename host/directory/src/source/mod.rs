//! Reads the users of a tenant as one consistent state, straight into columns.
//!
//! Whatever is written meanwhile, every statement of a snapshot sees the same state. Users and what
//! hangs on them (groups, factors, identities) are read in the order of `user_id` and merged here:
//! no subquery per user.

pub(crate) mod columns;
pub(crate) mod definition;
pub(crate) mod fragment;
pub(crate) mod sqlite;

use exeat_gate::{Field, RawBatch};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use crate::DirectoryError;
use crate::postgres::PostgresError;
use crate::sqlite::SqliteError;

/// Rows of a batch: enough to make a crossing into the sandbox cheap, few enough for the cache.
pub(crate) const MAX_BATCH_ROWS: usize = 2_048;
/// Text bytes after which a batch is sent, full or not.
pub(crate) const MAX_BATCH_BYTES: usize = 1 << 20;
/// Batches that may wait: a slow reader slows the cursor down.
pub(crate) const BATCHES_IN_FLIGHT: usize = 2;

/// Reading failed. Messages name columns, never values.
#[derive(Debug, Error)]
pub enum SourceError {
    /// The directory refused.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// A text is not UTF-8.
    #[error("the directory holds text that is not UTF-8 in {field}")]
    NotUtf8 {
        /// The field.
        field: String,
    },
    /// A batch would be longer than its columns can be.
    #[error("the directory holds more text than a batch can have in {field}")]
    TooLong {
        /// The field.
        field: String,
    },
    /// A value lies outside of what its type can hold, such as a time without an end.
    #[error("the directory holds a value out of range in {field}")]
    OutOfRange {
        /// The field.
        field: String,
    },
    /// A user lacks what every user must have.
    #[error("a user has no {field}, which every user must have")]
    Missing {
        /// The field.
        field: String,
    },
    /// A field exists that this source cannot read.
    #[error("the source \"{source_name}\" has no {field}; take it out of the export's fields")]
    Unreadable {
        /// The field.
        field: String,
        /// Name of the source.
        source_name: String,
    },
    /// A filter asks about something that this source cannot answer.
    #[error("the source \"{source_name}\" cannot be filtered by \"{key}\"")]
    Unfilterable {
        /// Key of the condition.
        key: String,
        /// Name of the source.
        source_name: String,
    },
    /// The source has no such tenant.
    #[error("the source \"{source_name}\" has no tenant \"{tenant}\"")]
    NoTenant {
        /// The tenant that was asked for.
        tenant: String,
        /// Name of the source.
        source_name: String,
    },
    /// The source holds the users of one tenant, and another was asked for.
    #[error("the source \"{source_name}\" holds the users of another tenant than \"{tenant}\"")]
    OtherTenant {
        /// The tenant that was asked for.
        tenant: String,
        /// Name of the source.
        source_name: String,
    },
    /// Users come in another order than that of their keys, or two have the same key.
    #[error(
        "the source \"{source_name}\" gives users in another order than that of their keys, or one key twice; \
         see its key, order and joins"
    )]
    Order {
        /// Name of the source.
        source_name: String,
    },
    /// What PostgreSQL sent is not what was asked for.
    #[error("PostgreSQL sent something that is no such copy: {0}")]
    Copy(&'static str),
    /// The columns do not fit each other.
    #[error("the columns that were read do not fit each other")]
    Columns(#[from] arrow_schema::ArrowError),
    /// The reading thread ended without a word.
    #[error("the reading thread ended early")]
    Ended,
}

impl SourceError {
    /// Whether the same may succeed when it is tried again: a connection was lost, the database was
    /// busy or restarting.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Directory(error) if error.is_transient())
    }
}

impl From<SqliteError> for SourceError {
    fn from(error: SqliteError) -> Self {
        Self::Directory(error.into())
    }
}

impl From<PostgresError> for SourceError {
    fn from(error: PostgresError) -> Self {
        Self::Directory(error.into())
    }
}

/// When the users of a snapshot are counted. The number is the same; the time it takes is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counting {
    /// Before the first one is read, for whoever wants to know how far a job has come.
    First,
    /// After the last one was read, for whoever waits for the first.
    Last,
}

/// A consistent state of one tenant's users, held open until it is dropped or read to its end.
#[derive(Debug)]
pub struct Snapshot {
    rows: Option<u64>,
    taken_at_us: i64,
    fields: Option<oneshot::Sender<Vec<&'static Field>>>,
    batches: mpsc::Receiver<Result<RawBatch, SourceError>>,
    counted: oneshot::Receiver<u64>,
    /// How many more users are wanted, if not all.
    limit: Option<Limit>,
}

#[derive(Clone, Copy, Debug)]
struct Limit {
    most: u64,
    left: u64,
}

/// What is known of a snapshot before anything is read.
pub(crate) struct Opened {
    /// How many users there are, if they are counted [first](Counting::First).
    pub(crate) rows: Option<u64>,
    pub(crate) taken_at_us: i64,
}

/// The reader's end of a [`Snapshot`].
pub(crate) struct Reading {
    pub(crate) counting: Counting,
    /// To be told what is known before anything is read.
    pub(crate) opened: oneshot::Sender<Opened>,
    /// Says which fields are wanted, or that none will be.
    pub(crate) wanted: oneshot::Receiver<Vec<&'static Field>>,
    pub(crate) batches: mpsc::Sender<Result<RawBatch, SourceError>>,
    /// To be told how many users there were, if they are counted [last](Counting::Last).
    pub(crate) counted: oneshot::Sender<u64>,
}

impl Snapshot {
    /// A snapshot that `read` fills from a thread or a task of its own, which it starts.
    pub(crate) async fn opened_by(
        counting: Counting,
        read: impl FnOnce(Reading),
    ) -> Result<Self, SourceError> {
        let (opened_to, opened) = oneshot::channel();
        let (fields, wanted) = oneshot::channel();
        let (batches_to, mut batches) = mpsc::channel(BATCHES_IN_FLIGHT);
        let (counted_to, counted) = oneshot::channel();
        read(Reading {
            counting,
            opened: opened_to,
            wanted,
            batches: batches_to,
            counted: counted_to,
        });
        let Ok(Opened { rows, taken_at_us }) = opened.await else {
            let error = batches.recv().await.and_then(Result::err);
            return Err(error.unwrap_or(SourceError::Ended));
        };
        Ok(Self {
            rows,
            taken_at_us,
            fields: Some(fields),
            batches,
            counted,
            limit: None,
        })
    }

    /// The same state, of which so many users are read, in the order of their ids.
    #[must_use]
    pub fn limited(self, most: u64) -> Self {
        Self {
            rows: self.rows.map(|rows| rows.min(most)),
            limit: Some(Limit { most, left: most }),
            ..self
        }
    }

    /// How many users there are to read, if they were counted [first](Counting::First).
    pub fn rows(&self) -> Option<u64> {
        self.rows
    }

    /// How many users there were to read, to be asked when all were read; nothing if the reading
    /// ended before its time.
    pub async fn counted(self) -> Option<u64> {
        match (self.rows, self.limit) {
            (None, Some(limit)) if limit.left == 0 => Some(limit.most),
            (None, _) => self.counted.await.ok(),
            (rows, _) => rows,
        }
    }

    /// The instant of the state, in microseconds since 1970-01-01T00:00:00Z.
    pub fn taken_at_us(&self) -> i64 {
        self.taken_at_us
    }

    /// Starts to read these fields, in this order.
    pub fn read(&mut self, fields: Vec<&'static Field>) {
        if let Some(reader) = self.fields.take() {
            // A reading thread that has ended says so in place of the first batch.
            let _ = reader.send(fields);
        }
    }

    /// The next batch; nothing after the last one.
    pub async fn next(&mut self) -> Option<Result<RawBatch, SourceError>> {
        if self.is_satisfied() {
            return None;
        }
        let batch = self.batches.recv().await?;
        Some(batch.map(|batch| self.within_limit(batch)))
    }

    /// The next batch, for a thread that may block; nothing after the last one.
    pub fn next_blocking(&mut self) -> Option<Result<RawBatch, SourceError>> {
        if self.is_satisfied() {
            return None;
        }
        let batch = self.batches.blocking_recv()?;
        Some(batch.map(|batch| self.within_limit(batch)))
    }

    fn is_satisfied(&self) -> bool {
        self.limit.is_some_and(|limit| limit.left == 0)
    }

    fn within_limit(&mut self, batch: RawBatch) -> RawBatch {
        let Some(limit) = &mut self.limit else {
            return batch;
        };
        let batch = batch.first(usize::try_from(limit.left).unwrap_or(usize::MAX));
        limit.left -= batch.rows() as u64;
        batch
    }
}
