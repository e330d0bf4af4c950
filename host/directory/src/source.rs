//! Reads the users of a tenant as one consistent state, straight into columns.
//!
//! One connection, one read transaction: whatever is written meanwhile, every statement sees the
//! same state. The users' cursor and the side cursors (groups, factors, identities) all run in the
//! order of `user_id`, and are merged here: no subquery per user.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Int64Array, ListArray, StringArray, TimestampMicrosecondArray};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use exeat_gate::{ColumnType, Field, RawBatch, Schema};
use serde::Serialize;
use sqlx::Connection as _;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use crate::filter::{Filter, Parameter};
use crate::sqlite::{RawConnection, SqliteError, Statement};
use crate::{Directory, DirectoryError, Tenant, now_us};

/// Rows of a batch: enough to make a crossing into the sandbox cheap, few enough for the cache.
const MAX_BATCH_ROWS: usize = 2_048;
/// Text bytes after which a batch is sent, full or not.
const MAX_BATCH_BYTES: usize = 1 << 20;
/// Batches that may wait: a slow reader slows the cursor down.
const BATCHES_IN_FLIGHT: usize = 2;
/// Digits that a phone number must have before its last four may leave.
const MIN_PHONE_DIGITS: usize = 8;

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
    /// A field exists that this source cannot read.
    #[error("this source cannot read {field}")]
    Unreadable {
        /// The field.
        field: String,
    },
    /// The columns do not fit each other.
    #[error("the columns that were read do not fit each other")]
    Columns(#[from] arrow_schema::ArrowError),
    /// The reading thread ended without a word.
    #[error("the reading thread ended early")]
    Ended,
}

impl SourceError {
    /// Whether
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Directory(error) if error.is_transient())
    }
}

impl From<SqliteError> for SourceError {
    fn from(error: SqliteError) -> Self {
        Self::Directory(error.into())
    }
}

/// A consistent state of one tenant's users, held open until it is dropped or read to its end.
#[derive(Debug)]
pub struct Snapshot {
    rows: u64,
    taken_at_us: i64,
    fields: Option<oneshot::Sender<Vec<&'static Field>>>,
    batches: mpsc::Receiver<Result<RawBatch, SourceError>>,
}

struct Opened {
    rows: u64,
    taken_at_us: i64,
}

impl Directory {
    /// Opens a consistent state of the tenant's users and counts those that the filter lets through.
    ///
    /// # Errors
    /// The database refused.
    pub async fn snapshot(&self, tenant: &Tenant, filter: &Filter) -> Result<Snapshot, SourceError> {
        let mut connection = match &self.users {
            crate::Users::Sqlite(file) => crate::sqlite_connection(file).await?,
            crate::Users::Postgres(_) => unimplemented!(),
        };
        let (opened_to, opened) = oneshot::channel();
        let (fields, wanted) = oneshot::channel();
        let (batches_to, batches) = mpsc::channel(BATCHES_IN_FLIGHT);
        let (tenant_id, filter) = (tenant.id, filter.clone());
        let runtime = tokio::runtime::Handle::current();
        tokio::task::spawn_blocking(move || {
            let read = (|| {
                let mut lock = runtime
                    .block_on(connection.lock_handle())
                    .map_err(DirectoryError::from)?;
                let raw = RawConnection::new(&mut lock);
                read_snapshot(&raw, tenant_id, &filter, opened_to, wanted, &batches_to)
            })();
            if let Err(error) = read {
                // A reader that has gone needs no error.
                let _ = batches_to.blocking_send(Err(error));
            }
            // The read transaction ends with the connection.
            let _ = runtime.block_on(connection.close());
        });
        let mut batches = batches;
        let Ok(Opened { rows, taken_at_us }) = opened.await else {
            let error = batches.recv().await.and_then(Result::err);
            return Err(error.unwrap_or(SourceError::Ended));
        };
        Ok(Snapshot {
            rows,
            taken_at_us,
            fields: Some(fields),
            batches,
        })
    }
}

impl Snapshot {
    /// How many users there are to read.
    pub fn rows(&self) -> u64 {
        self.rows
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

    /// The next batch, for a thread that may block; nothing after the last one.
    pub fn next_blocking(&mut self) -> Option<Result<RawBatch, SourceError>> {
        self.batches.blocking_recv()
    }
}

fn read_snapshot(
    raw: &RawConnection<'_>,
    tenant_id: i64,
    filter: &Filter,
    opened: oneshot::Sender<Opened>,
    wanted: oneshot::Receiver<Vec<&'static Field>>,
    batches: &mpsc::Sender<Result<RawBatch, SourceError>>,
) -> Result<(), SourceError> {
    raw.execute("BEGIN")?;
    let (conditions, parameters) = filter.sql(2);
    let count = format!("SELECT count(*) FROM users u WHERE u.tenant_id = ?1{conditions}");
    let mut count = bound(raw, &count, tenant_id, &parameters)?;
    count.step()?;
    let rows = count
        .int(0)
        .and_then(|rows| u64::try_from(rows).ok())
        .unwrap_or_default();
    drop(count);
    if opened
        .send(Opened {
            rows,
            taken_at_us: now_us(),
        })
        .is_err()
    {
        return Ok(());
    }
    let Ok(fields) = wanted.blocking_recv() else {
        return Ok(());
    };
    let mut reader = Reader::open(raw, tenant_id, fields, &conditions, &parameters)?;
    while let Some(batch) = reader.next_batch()? {
        if batches.blocking_send(Ok(batch)).is_err() {
            break;
        }
    }
    Ok(())
}

fn bound<'r>(
    raw: &'r RawConnection<'r>,
    sql: &str,
    tenant_id: i64,
    parameters: &[Parameter],
) -> Result<Statement<'r>, SqliteError> {
    let mut statement = raw.prepare(sql)?;
    statement.bind_i64(1, tenant_id)?;
    for (number, parameter) in (2..).zip(parameters) {
        match parameter {
            Parameter::Text(text) => statement.bind_text(number, text)?,
            Parameter::Int(value) => statement.bind_i64(number, *value)?,
        }
    }
    Ok(statement)
}

/// Where the values of a field come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// An expression over `users AS u`.
    Expression(&'static str),
    /// The name of the connection whose key is in this expression.
    Connection(&'static str),
    Groups,
    FactorCount,
    Identities,
}

/// Layer two of what never leaves, "not read": these expressions are all that an export selects.
fn origin(field: &str) -> Option<Origin> {
    Some(match field {
        "user_id" => Origin::Expression("u.user_id"),
        "email" => Origin::Expression("u.email"),
        "name" => Origin::Expression("u.name"),
        "given_name" => Origin::Expression("u.given_name"),
        "family_name" => Origin::Expression("u.family_name"),
        "state" => Origin::Expression("u.state"),
        "email_verified" => Origin::Expression("u.email_verified"),
        "created_at" => Origin::Expression("u.created_at"),
        "last_signed_in_at" => Origin::Expression("u.last_signed_in_at"),
        "username" => Origin::Expression("u.username"),
        "nickname" => Origin::Expression("u.nickname"),
        "picture" => Origin::Expression("u.picture"),
        "locale" => Origin::Expression("u.locale"),
        "phone_verified" => Origin::Expression("u.phone_verified"),
        "updated_at" => Origin::Expression("u.updated_at"),
        "last_ip" => Origin::Expression("u.last_ip"),
        "logins_count" => Origin::Expression("u.logins_count"),
        "custom_attributes" => Origin::Expression("u.custom_attributes"),
        "app_metadata" => Origin::Expression("u.app_metadata"),
        "phone_last_four" => Origin::Expression(LAST_FOUR),
        "connection" => Origin::Connection("u.connection_id"),
        "groups" => Origin::Groups,
        "mfa_factor_count" => Origin::FactorCount,
        "identities" => Origin::Identities,
        _ => return None,
    })
}

/// The number itself does not come out of SQLite, and a short one not even in part.
const LAST_FOUR: &str = "CASE WHEN length(u.phone_number) > 8 THEN substr(u.phone_number, -4) END";
const _: () = assert!(MIN_PHONE_DIGITS == 8, "LAST_FOUR counts a + and this many digits");

const GROUPS_SQL: &str = "SELECT user_id, group_id FROM memberships WHERE tenant_id = ?1 ORDER BY user_id";
const FACTORS_SQL: &str =
    "SELECT user_id, count(*) FROM mfa_factors WHERE tenant_id = ?1 GROUP BY user_id ORDER BY user_id";
const IDENTITIES_SQL: &str = "SELECT user_id, connection, provider, subject FROM linked_identities
                              WHERE tenant_id = ?1 ORDER BY user_id, position";
const GROUP_NAMES_SQL: &str = "SELECT group_id, name FROM groups WHERE tenant_id = ?1 ORDER BY name";
const CONNECTION_NAMES_SQL: &str =
    "SELECT connection_id, name FROM connections WHERE tenant_id = ?1 ORDER BY name";

/// The cursors of one snapshot and the columns that they fill.
struct Reader<'r> {
    schema: Schema,
    users: Statement<'r>,
    fields: Vec<FieldReader<'r>>,
    done: bool,
}

struct FieldReader<'r> {
    field: &'static Field,
    values: ValueReader<'r>,
}

enum ValueReader<'r> {
    Text {
        column: i32,
        texts: Texts,
    },
    Bool {
        column: i32,
        bits: BooleanBufferBuilder,
        nulls: NullBufferBuilder,
    },
    Int {
        column: i32,
        ints: Ints,
    },
    Named {
        column: i32,
        names: Names,
        texts: Texts,
    },
    Groups {
        side: SideCursor<'r>,
        names: Names,
        of_user: Vec<usize>,
        offsets: Vec<i32>,
        texts: Texts,
    },
    FactorCount {
        side: SideCursor<'r>,
        ints: Ints,
    },
    Identities {
        side: SideCursor<'r>,
        texts: Texts,
    },
}

impl<'r> Reader<'r> {
    fn open(
        raw: &'r RawConnection<'r>,
        tenant_id: i64,
        fields: Vec<&'static Field>,
        conditions: &str,
        parameters: &[Parameter],
    ) -> Result<Self, SourceError> {
        let mut select = vec!["u.user_id"];
        let mut readers = Vec::with_capacity(fields.len());
        for field in &fields {
            let unreadable = || SourceError::Unreadable {
                field: field.name.clone(),
            };
            let origin = origin(&field.name).ok_or_else(unreadable)?;
            let column = i32::try_from(select.len()).map_err(|_| unreadable())?;
            if let Origin::Expression(expression) | Origin::Connection(expression) = origin {
                select.push(expression);
            }
            let values = ValueReader::open(raw, tenant_id, field, origin, column)?;
            readers.push(FieldReader { field, values });
        }
        let sql = format!(
            "SELECT {} FROM users u WHERE u.tenant_id = ?1{conditions} ORDER BY u.user_id",
            select.join(", ")
        );
        Ok(Self {
            schema: fields.iter().map(|field| field.spec()).collect(),
            users: bound(raw, &sql, tenant_id, parameters)?,
            fields: readers,
            done: false,
        })
    }

    fn next_batch(&mut self) -> Result<Option<RawBatch>, SourceError> {
        let (mut rows, mut bytes) = (0, 0);
        while !self.done && rows < MAX_BATCH_ROWS && bytes < MAX_BATCH_BYTES {
            if !self.users.step()? {
                self.done = true;
                break;
            }
            for reader in &mut self.fields {
                bytes += reader
                    .values
                    .read(&self.users)
                    .map_err(|error| reader.blame(error))?;
            }
            rows += 1;
        }
        if rows == 0 {
            return Ok(None);
        }
        let columns: Result<Vec<ArrayRef>, SourceError> = self
            .fields
            .iter_mut()
            .map(|reader| {
                reader
                    .values
                    .finish(reader.field.column_type)
                    .map_err(|error| reader.blame(error))
            })
            .collect();
        Ok(Some(RawBatch::new(Arc::clone(&self.schema), columns?, rows)?))
    }
}

/// What can go wrong with one value.
enum ValueError {
    Sqlite(SqliteError),
    NotUtf8,
}

impl From<SqliteError> for ValueError {
    fn from(error: SqliteError) -> Self {
        Self::Sqlite(error)
    }
}

impl FieldReader<'_> {
    fn blame(&self, error: ValueError) -> SourceError {
        match error {
            ValueError::Sqlite(error) => error.into(),
            ValueError::NotUtf8 => SourceError::NotUtf8 {
                field: self.field.name.clone(),
            },
        }
    }
}

impl<'r> ValueReader<'r> {
    fn open(
        raw: &'r RawConnection<'r>,
        tenant_id: i64,
        field: &Field,
        origin: Origin,
        column: i32,
    ) -> Result<Self, SourceError> {
        let texts = Texts::new;
        Ok(match (origin, field.column_type) {
            (Origin::Expression(_), ColumnType::Utf8 | ColumnType::Json) => Self::Text {
                column,
                texts: texts(),
            },
            (Origin::Expression(_), ColumnType::Boolean) => {
                let bits = BooleanBufferBuilder::new(MAX_BATCH_ROWS);
                Self::Bool {
                    column,
                    bits,
                    nulls: NullBufferBuilder::new(MAX_BATCH_ROWS),
                }
            }
            (Origin::Expression(_), ColumnType::Int64 | ColumnType::TimestampUs) => Self::Int {
                column,
                ints: Ints::new(),
            },
            (Origin::Connection(_), _) => Self::Named {
                column,
                names: Names::read(raw, tenant_id, CONNECTION_NAMES_SQL)?,
                texts: texts(),
            },
            (Origin::Groups, _) => Self::Groups {
                side: SideCursor::open(raw, tenant_id, GROUPS_SQL)?,
                names: Names::read(raw, tenant_id, GROUP_NAMES_SQL)?,
                of_user: Vec::new(),
                offsets: vec![0],
                texts: texts(),
            },
            (Origin::FactorCount, _) => Self::FactorCount {
                side: SideCursor::open(raw, tenant_id, FACTORS_SQL)?,
                ints: Ints::new(),
            },
            (Origin::Identities, _) => Self::Identities {
                side: SideCursor::open(raw, tenant_id, IDENTITIES_SQL)?,
                texts: texts(),
            },
            _ => {
                return Err(SourceError::Unreadable {
                    field: field.name.clone(),
                });
            }
        })
    }

    /// Reads the value of the user at hand; says how many bytes of text it has.
    fn read(&mut self, user: &Statement<'_>) -> Result<usize, ValueError> {
        let user_id = user.text(0).unwrap_or_default();
        Ok(match self {
            Self::Text { column, texts } => texts.push(user.text(*column)),
            Self::Bool { column, bits, nulls } => {
                let value = user.int(*column);
                bits.append(value == Some(1));
                nulls.append(value.is_some());
                0
            }
            Self::Int { column, ints } => {
                ints.push(user.int(*column));
                0
            }
            Self::Named { column, names, texts } => {
                let name = user.int(*column).and_then(|id| names.of(id));
                texts.push(name.map(str::as_bytes))
            }
            Self::Groups {
                side,
                names,
                of_user,
                offsets,
                texts,
            } => {
                of_user.clear();
                side.merge(user_id, |row| {
                    of_user.extend(row.int(1).and_then(|id| names.rank(id)))
                })?;
                of_user.sort_unstable();
                let bytes = of_user
                    .iter()
                    .map(|rank| texts.push(Some(names.at(*rank).as_bytes())))
                    .sum();
                offsets.push(texts.len());
                bytes
            }
            Self::FactorCount { side, ints } => {
                let mut count = 0;
                side.merge(user_id, |row| count = row.int(1).unwrap_or_default())?;
                ints.push(Some(count));
                0
            }
            Self::Identities { side, texts } => {
                let mut list = IdentityList::begin(texts);
                side.merge(user_id, |row| list.push(row))?;
                list.end()?
            }
        })
    }

    /// The values since the last call, as an array.
    fn finish(&mut self, column_type: ColumnType) -> Result<ArrayRef, ValueError> {
        Ok(match self {
            Self::Text { texts, .. } | Self::Named { texts, .. } | Self::Identities { texts, .. } => {
                Arc::new(texts.finish()?)
            }
            Self::Bool { bits, nulls, .. } => Arc::new(BooleanArray::new(bits.finish(), nulls.finish())),
            Self::Int { ints, .. } | Self::FactorCount { ints, .. } => {
                let (values, nulls) = ints.finish();
                if column_type == ColumnType::TimestampUs {
                    Arc::new(TimestampMicrosecondArray::new(values, nulls))
                } else {
                    Arc::new(Int64Array::new(values, nulls))
                }
            }
            Self::Groups { offsets, texts, .. } => {
                let offsets = std::mem::replace(offsets, vec![0]);
                let arrow_schema::DataType::List(item) = column_type.arrow() else {
                    return Err(ValueError::NotUtf8);
                };
                let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
                Arc::new(ListArray::new(item, offsets, Arc::new(texts.finish()?), None))
            }
        })
    }
}

/// Texts end to end, in Arrow layout.
struct Texts {
    offsets: Vec<i32>,
    bytes: Vec<u8>,
    nulls: NullBufferBuilder,
}

impl Texts {
    fn new() -> Self {
        Self {
            offsets: vec![0],
            bytes: Vec::new(),
            nulls: NullBufferBuilder::new(MAX_BATCH_ROWS),
        }
    }

    fn len(&self) -> i32 {
        end(self.offsets.len() - 1)
    }

    fn push(&mut self, text: Option<&[u8]>) -> usize {
        let bytes = text.unwrap_or_default();
        self.bytes.extend_from_slice(bytes);
        self.close(text.is_some());
        bytes.len()
    }

    /// Ends a text whose bytes were appended.
    fn close(&mut self, present: bool) {
        self.offsets.push(end(self.bytes.len()));
        self.nulls.append(present);
    }

    fn finish(&mut self) -> Result<StringArray, ValueError> {
        let capacity = self.bytes.capacity();
        let bytes = std::mem::replace(&mut self.bytes, Vec::with_capacity(capacity));
        let offsets = std::mem::replace(&mut self.offsets, Vec::with_capacity(MAX_BATCH_ROWS + 1));
        self.offsets.push(0);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        StringArray::try_new(offsets, Buffer::from_vec(bytes), self.nulls.finish())
            .map_err(|_| ValueError::NotUtf8)
    }
}

/// SQLite's longest value is 1 GB and a batch ends soon after 1 MiB: offsets fit.
fn end(bytes: usize) -> i32 {
    i32::try_from(bytes).expect("a batch is smaller than 2 GiB")
}

/// Integers with their nulls.
struct Ints {
    values: Vec<i64>,
    nulls: NullBufferBuilder,
}

impl Ints {
    fn new() -> Self {
        Self {
            values: Vec::with_capacity(MAX_BATCH_ROWS),
            nulls: NullBufferBuilder::new(MAX_BATCH_ROWS),
        }
    }

    fn push(&mut self, value: Option<i64>) {
        self.values.push(value.unwrap_or_default());
        self.nulls.append(value.is_some());
    }

    fn finish(&mut self) -> (ScalarBuffer<i64>, Option<arrow_buffer::NullBuffer>) {
        let values = std::mem::replace(&mut self.values, Vec::with_capacity(MAX_BATCH_ROWS));
        (values.into(), self.nulls.finish())
    }
}

/// The names of a tenant's groups or connections, sorted, by key. There are few.
struct Names {
    sorted: Vec<String>,
    ranks: HashMap<i64, usize>,
}

impl Names {
    fn read(raw: &RawConnection<'_>, tenant_id: i64, sql: &str) -> Result<Self, SourceError> {
        let mut select = raw.prepare(sql)?;
        select.bind_i64(1, tenant_id)?;
        let mut names = Self {
            sorted: Vec::new(),
            ranks: HashMap::new(),
        };
        while select.step()? {
            names
                .ranks
                .insert(select.int(0).unwrap_or_default(), names.sorted.len());
            names
                .sorted
                .push(String::from_utf8_lossy(select.text(1).unwrap_or_default()).into_owned());
        }
        Ok(names)
    }

    fn rank(&self, id: i64) -> Option<usize> {
        self.ranks.get(&id).copied()
    }

    fn at(&self, rank: usize) -> &str {
        &self.sorted[rank]
    }

    fn of(&self, id: i64) -> Option<&str> {
        self.rank(id).map(|rank| self.at(rank))
    }
}

/// A cursor over rows that hang on users, in the users' order.
struct SideCursor<'r> {
    statement: Statement<'r>,
    /// Whether the statement stands on a row that no user has had yet.
    pending: bool,
}

impl<'r> SideCursor<'r> {
    fn open(raw: &'r RawConnection<'r>, tenant_id: i64, sql: &str) -> Result<Self, SqliteError> {
        let mut statement = raw.prepare(sql)?;
        statement.bind_i64(1, tenant_id)?;
        let pending = statement.step()?;
        Ok(Self { statement, pending })
    }

    /// Hands the rows of this user to `take`; skips those of users that the filter left out.
    fn merge(&mut self, user_id: &[u8], mut take: impl FnMut(&Statement<'r>)) -> Result<(), SqliteError> {
        while self.pending {
            match self.statement.text(0).unwrap_or_default().cmp(user_id) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => take(&self.statement),
                std::cmp::Ordering::Greater => break,
            }
            self.pending = self.statement.step()?;
        }
        Ok(())
    }
}

/// A JSON array of one user's identities, written where the column's bytes are.
struct IdentityList<'t> {
    texts: &'t mut Texts,
    begin: usize,
    first: bool,
    failed: bool,
}

#[derive(Serialize)]
struct IdentityJson<'a> {
    connection: &'a str,
    provider: &'a str,
    subject: &'a str,
}

impl<'t> IdentityList<'t> {
    fn begin(texts: &'t mut Texts) -> Self {
        let begin = texts.bytes.len();
        texts.bytes.push(b'[');
        Self {
            texts,
            begin,
            first: true,
            failed: false,
        }
    }

    fn push(&mut self, row: &Statement<'_>) {
        if !std::mem::take(&mut self.first) {
            self.texts.bytes.push(b',');
        }
        let text = |column| std::str::from_utf8(row.text(column).unwrap_or_default());
        let written = match (text(1), text(2), text(3)) {
            (Ok(connection), Ok(provider), Ok(subject)) => serde_json::to_writer(
                &mut self.texts.bytes,
                &IdentityJson {
                    connection,
                    provider,
                    subject,
                },
            )
            .is_ok(),
            _ => false,
        };
        self.failed |= !written;
    }

    fn end(self) -> Result<usize, ValueError> {
        self.texts.bytes.push(b']');
        self.texts.close(true);
        if self.failed {
            return Err(ValueError::NotUtf8);
        }
        Ok(self.texts.bytes.len() - self.begin)
    }
}

#[cfg(test)]
mod tests {
    use exeat_gate::{Classification, catalog};

    use super::*;

    #[test]
    fn every_field_can_be_read() {
        for field in catalog().fields() {
            assert!(origin(&field.name).is_some(), "{}", field.name);
        }
    }

    #[test]
    fn no_statement_of_an_export_names_a_column_that_never_leaves() {
        let statements = catalog()
            .fields()
            .iter()
            .filter_map(|field| match origin(&field.name) {
                Some(Origin::Expression(sql) | Origin::Connection(sql)) => Some(sql),
                _ => None,
            });
        let side = [
            GROUPS_SQL,
            FACTORS_SQL,
            IDENTITIES_SQL,
            GROUP_NAMES_SQL,
            CONNECTION_NAMES_SQL,
        ];
        let read: Vec<&str> = statements.chain(side).collect();
        for (table, columns) in catalog().tables() {
            // Keys are compared, not selected into any column.
            let secret = columns.iter().filter(|(name, column)| {
                column.class == Classification::Never && !name.ends_with("_id") && *name != "name"
            });
            for (column, _) in secret.filter(|(name, _)| *name != "phone_number" && *name != "created_at") {
                assert!(
                    read.iter().all(|sql| !sql.contains(column.as_str())),
                    "{table}.{column} is read"
                );
            }
        }
        let phone: Vec<&&str> = read.iter().filter(|sql| sql.contains("phone_number")).collect();
        assert_eq!(
            phone,
            [&LAST_FOUR],
            "a phone number is read only to be cut to its last four digits"
        );
    }
}
