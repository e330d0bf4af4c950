//! Reads users from SQLite: one connection, one read transaction, cursors stepped in place.

use std::path::Path;
use std::sync::Arc;

use arrow_array::ArrayRef;
use exeat_gate::{ColumnType, Field, RawBatch, Schema};
use sqlx::Connection as _;

use super::columns::{Flags, IdentityList, Ints, Lists, Texts, Unfit, complete};
use super::{Counting, MAX_BATCH_BYTES, MAX_BATCH_ROWS, Opened, Reading, Snapshot, SourceError};
use crate::filter::{Filter, Parameter};
use crate::sqlite::{RawConnection, SqliteError, Statement};
use crate::{DirectoryError, Tenant, now_us};

/// What errors call this source.
const NAME: &str = "exeat";
/// Digits that a phone number must have before its last four may leave.
const MIN_PHONE_DIGITS: usize = 8;

/// Opens a consistent state of the tenant's users that the filter lets through.
pub(crate) async fn snapshot(
    file: &Path,
    tenant: &Tenant,
    filter: &Filter,
    counting: Counting,
) -> Result<Snapshot, SourceError> {
    let mut connection = crate::sqlite_connection(file).await?;
    let (tenant_id, filter) = (tenant.id, filter.clone());
    let runtime = tokio::runtime::Handle::current();
    Snapshot::opened_by(counting, move |reading| {
        tokio::task::spawn_blocking(move || {
            let batches = reading.batches.clone();
            let read = (|| {
                let mut lock = runtime
                    .block_on(connection.lock_handle())
                    .map_err(DirectoryError::from)?;
                let raw = RawConnection::new(&mut lock);
                read_snapshot(&raw, tenant_id, &filter, reading)
            })();
            if let Err(error) = read {
                // A reader that has gone needs no error.
                let _ = batches.blocking_send(Err(error));
            }
            // The read transaction ends with the connection.
            let _ = runtime.block_on(connection.close());
        });
    })
    .await
}

fn read_snapshot(
    raw: &RawConnection<'_>,
    tenant_id: i64,
    filter: &Filter,
    reading: Reading,
) -> Result<(), SourceError> {
    let Reading {
        counting,
        opened,
        wanted,
        batches,
        counted,
    } = reading;
    raw.execute("BEGIN")?;
    let (conditions, parameters) = filter.sqlite(2);
    let count = || count(raw, tenant_id, &conditions, &parameters);
    // The first read, of whatever it is, is what holds the state.
    raw.prepare("SELECT 1 FROM tenants LIMIT 1")?.step()?;
    let taken_at_us = now_us();
    let rows = match counting {
        Counting::First => Some(count()?),
        Counting::Last => None,
    };
    if opened.send(Opened { rows, taken_at_us }).is_err() {
        return Ok(());
    }
    let Ok(fields) = wanted.blocking_recv() else {
        return Ok(());
    };
    let mut reader = Reader::open(raw, tenant_id, fields, &conditions, &parameters)?;
    while let Some(batch) = reader.next_batch()? {
        if batches.blocking_send(Ok(batch)).is_err() {
            return Ok(());
        }
    }
    if counting == Counting::Last {
        let _ = counted.send(count()?);
    }
    Ok(())
}

fn count(
    raw: &RawConnection<'_>,
    tenant_id: i64,
    conditions: &str,
    parameters: &[Parameter],
) -> Result<u64, SqliteError> {
    let sql = format!("SELECT count(*) FROM users u WHERE u.tenant_id = ?1{conditions}");
    let mut count = bound(raw, &sql, tenant_id, parameters)?;
    count.step()?;
    let rows = count.int(0).and_then(|rows| u64::try_from(rows).ok());
    Ok(rows.unwrap_or_default())
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
        flags: Flags,
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
        lists: Lists,
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
                source_name: NAME.to_owned(),
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
                    .and_then(|array| complete(reader.field, array))
            })
            .collect();
        Ok(Some(RawBatch::new(Arc::clone(&self.schema), columns?, rows)?))
    }
}

/// What can go wrong with one value.
enum ValueError {
    Sqlite(SqliteError),
    Unfit(Unfit),
}

impl From<Unfit> for ValueError {
    fn from(unfit: Unfit) -> Self {
        Self::Unfit(unfit)
    }
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
            ValueError::Unfit(unfit) => unfit.of(self.field),
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
                let flags = Flags::new();
                Self::Bool { column, flags }
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
                lists: Lists::new(),
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
                    source_name: NAME.to_owned(),
                });
            }
        })
    }

    /// Reads the value of the user at hand; says how many bytes of text it has.
    fn read(&mut self, user: &Statement<'_>) -> Result<usize, ValueError> {
        let user_id = || user.text(0).unwrap_or_default();
        Ok(match self {
            Self::Text { column, texts } => texts.push(user.text(*column)),
            Self::Bool { column, flags } => {
                flags.push(user.int(*column).map(|value| value == 1));
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
                lists,
            } => {
                of_user.clear();
                side.merge(user_id(), |row| {
                    of_user.extend(row.int(1).and_then(|id| names.rank(id)))
                })?;
                of_user.sort_unstable();
                lists.push(of_user.iter().map(|rank| names.at(*rank).as_bytes()))
            }
            Self::FactorCount { side, ints } => {
                let mut count = 0;
                side.merge(user_id(), |row| count = row.int(1).unwrap_or_default())?;
                ints.push(Some(count));
                0
            }
            Self::Identities { side, texts } => {
                let mut list = IdentityList::begin(texts);
                side.merge(user_id(), |row| {
                    list.push([row.text(1), row.text(2), row.text(3)])
                })?;
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
            Self::Bool { flags, .. } => flags.finish(),
            Self::Int { ints, .. } | Self::FactorCount { ints, .. } => ints.finish(column_type),
            Self::Groups { lists, .. } => lists.finish(column_type)?,
        })
    }
}

/// The names of a tenant's groups or connections, sorted, by key. There are few.
struct Names {
    sorted: Vec<String>,
    /// Keys with the places of their names, in the order of the keys.
    ranks: Vec<(i64, usize)>,
}

impl Names {
    fn read(raw: &RawConnection<'_>, tenant_id: i64, sql: &str) -> Result<Self, SourceError> {
        let mut select = raw.prepare(sql)?;
        select.bind_i64(1, tenant_id)?;
        let mut names = Self {
            sorted: Vec::new(),
            ranks: Vec::new(),
        };
        while select.step()? {
            names
                .ranks
                .push((select.int(0).unwrap_or_default(), names.sorted.len()));
            names
                .sorted
                .push(String::from_utf8_lossy(select.text(1).unwrap_or_default()).into_owned());
        }
        names.ranks.sort_unstable();
        Ok(names)
    }

    fn rank(&self, id: i64) -> Option<usize> {
        let place = self.ranks.binary_search_by_key(&id, |(key, _)| *key).ok()?;
        Some(self.ranks[place].1)
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
