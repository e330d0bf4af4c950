//! One snapshot, read to its end: a task that fills batches as fast as they are taken.

use std::sync::Arc;

use arrow_array::ArrayRef;
use exeat_gate::{Field, RawBatch, Schema};
use sqlx::PgPool;

use super::merge::Sides;
use super::session::{CopyRows, Session};
use super::statements::{Origin, Plan, SIDE_FIELDS, Statements};
use crate::source::columns::{Flags, Ints, Lists, Texts, Unfit, complete};
use crate::source::definition::TimeUnit;
use crate::source::{Counting, MAX_BATCH_BYTES, MAX_BATCH_ROWS, Opened, Reading};
use crate::{SourceError, now_us};

/// 2000-01-01T00:00:00Z, from which PostgreSQL counts microseconds.
const POSTGRES_EPOCH_US: i64 = 946_684_800_000_000;

/// Reads until the end, an error, or the reader's going away.
pub(super) async fn read_snapshot(pool: PgPool, statements: Statements, reading: Reading) {
    let batches = reading.batches.clone();
    let read = tokio::select! {
        read = read(&pool, &statements, reading) => read,
        // Whatever the server was doing, nobody waits for it: the connections are cut off.
        () = batches.closed() => return,
    };
    if let Err(error) = read {
        // A reader that has gone needs no error.
        let _ = batches.send(Err(error)).await;
    }
}

async fn read(pool: &PgPool, statements: &Statements, reading: Reading) -> Result<(), SourceError> {
    let Reading {
        counting,
        opened,
        wanted,
        batches,
        counted,
    } = reading;
    let definition = statements.definition();
    let by_index = definition.ordered_by_index;
    let mut main = Session::begin(pool, None, by_index, statements.settings()).await?;
    if let Some(exists) = statements.tenant_exists()
        && main.number(exists).await? == 0
    {
        return Err(statements.no_tenant());
    }
    let rows = match counting {
        Counting::First => Some(count(&mut main, statements).await?),
        Counting::Last => {
            // The first statement, whatever it is, is what holds the state.
            main.number("SELECT 1::bigint".to_owned()).await?;
            None
        }
    };
    let taken_at_us = now_us();
    if opened.send(Opened { rows, taken_at_us }).is_err() {
        return Ok(());
    }
    let Ok(fields) = wanted.await else {
        return Ok(());
    };
    let plan = statements.plan(&fields)?;
    let mut beside = None;
    if plan.sides.is_some() {
        let shared = main.share().await?;
        beside = Some(Session::begin(pool, Some(&shared), by_index, statements.settings()).await?);
    }
    {
        let mut sides = None;
        if let (Some(session), Some(sql)) = (&mut beside, &plan.sides) {
            let rows = session.copy(sql, SIDE_FIELDS).await?;
            sides = Some(Sides::open(rows, &definition.name).await?);
        }
        let users = main.copy(&plan.users, plan.user_fields).await?;
        let mut reader = Reader::new(&fields, &plan, users, sides, definition.name.clone());
        while let Some(batch) = reader.next_batch().await? {
            if batches.send(Ok(batch)).await.is_err() {
                return Ok(());
            }
        }
    }
    if counting == Counting::Last {
        let _ = counted.send(count(&mut main, statements).await?);
    }
    // The other one may have rows left, of users that the filter left out: it is cut off.
    main.close().await;
    Ok(())
}

async fn count(session: &mut Session, statements: &Statements) -> Result<u64, SourceError> {
    let rows = session.number(statements.count()).await?;
    Ok(u64::try_from(rows).unwrap_or_default())
}

/// The streams of one snapshot and the columns that they fill.
struct Reader<'c> {
    schema: Schema,
    users: CopyRows<'c>,
    sides: Option<Sides<'c>>,
    columns: Vec<Column>,
    last_key: Vec<u8>,
    source_name: String,
    done: bool,
}

struct Column {
    field: &'static Field,
    values: Values,
}

enum Values {
    Text(usize, Texts),
    Flag(usize, Flags),
    Int(usize, TimeUnit, Ints),
    Groups(Lists),
    FactorCount(Ints),
    Identities(Texts),
}

impl<'c> Reader<'c> {
    fn new(
        fields: &[&'static Field],
        plan: &Plan,
        users: CopyRows<'c>,
        sides: Option<Sides<'c>>,
        source_name: String,
    ) -> Self {
        let columns = fields.iter().zip(&plan.origins).map(|(field, origin)| Column {
            field,
            values: match *origin {
                Origin::Text(at) => Values::Text(at, Texts::new()),
                Origin::Flag(at) => Values::Flag(at, Flags::new()),
                Origin::Int(at, unit) => Values::Int(at, unit, Ints::new()),
                Origin::Groups => Values::Groups(Lists::new()),
                Origin::FactorCount => Values::FactorCount(Ints::new()),
                Origin::Identities => Values::Identities(Texts::new()),
            },
        });
        Self {
            schema: fields.iter().map(|field| field.spec()).collect(),
            users,
            sides,
            columns: columns.collect(),
            last_key: Vec::new(),
            source_name,
            done: false,
        }
    }

    async fn next_batch(&mut self) -> Result<Option<RawBatch>, SourceError> {
        let (mut rows, mut bytes) = (0, 0);
        while !self.done && rows < MAX_BATCH_ROWS && bytes < MAX_BATCH_BYTES {
            if !self.users.next().await? {
                self.done = true;
                break;
            }
            let key = self.users.field(0).unwrap_or_default();
            // Out of order, side rows would be lost; equal keys would be one user twice.
            if key <= self.last_key.as_slice() {
                return Err(SourceError::Order {
                    source_name: self.source_name.clone(),
                });
            }
            if let Some(sides) = &mut self.sides {
                sides.collect(key).await?;
            }
            self.last_key.clear();
            self.last_key.extend_from_slice(key);
            for column in &mut self.columns {
                bytes += column
                    .values
                    .read(&self.users, self.sides.as_mut())
                    .map_err(|unfit| unfit.of(column.field))?;
            }
            rows += 1;
        }
        if rows == 0 {
            return Ok(None);
        }
        let columns: Result<Vec<ArrayRef>, SourceError> =
            self.columns.iter_mut().map(Column::finish).collect();
        Ok(Some(RawBatch::new(Arc::clone(&self.schema), columns?, rows)?))
    }
}

impl Column {
    /// The values since the last call, as an array.
    fn finish(&mut self) -> Result<ArrayRef, SourceError> {
        let column_type = self.field.column_type;
        let array: Result<ArrayRef, Unfit> = match &mut self.values {
            Values::Text(_, texts) | Values::Identities(texts) => {
                texts.finish().map(|texts| Arc::new(texts) as ArrayRef)
            }
            Values::Flag(_, flags) => Ok(flags.finish()),
            Values::Int(_, _, ints) | Values::FactorCount(ints) => Ok(ints.finish(column_type)),
            Values::Groups(lists) => lists.finish(column_type),
        };
        complete(self.field, array.map_err(|unfit| unfit.of(self.field))?)
    }
}

impl Values {
    /// Reads the value of the user at hand; says how many bytes of text it has.
    fn read(&mut self, user: &CopyRows<'_>, sides: Option<&mut Sides<'_>>) -> Result<usize, Unfit> {
        Ok(match (self, sides) {
            (Self::Text(at, texts), _) => texts.push(user.field(*at)),
            (Self::Flag(at, flags), _) => {
                flags.push(user.field(*at).map(flag).transpose()?);
                0
            }
            (Self::Int(at, unit, ints), _) => {
                ints.push(user.field(*at).map(|bytes| int(bytes, *unit)).transpose()?);
                0
            }
            (Self::Groups(lists), Some(sides)) => sides.push_groups(lists),
            (Self::FactorCount(ints), Some(sides)) => {
                ints.push(Some(sides.factors()));
                0
            }
            (Self::Identities(texts), Some(sides)) => sides.push_identities(texts)?,
            (Self::Groups(_) | Self::FactorCount(_) | Self::Identities(_), None) => {
                return Err(Unfit::Missing);
            }
        })
    }
}

fn flag(bytes: &[u8]) -> Result<bool, Unfit> {
    match bytes {
        [0] => Ok(false),
        [1] => Ok(true),
        _ => Err(Unfit::OutOfRange),
    }
}

fn int(bytes: &[u8], unit: TimeUnit) -> Result<i64, Unfit> {
    let value = i64::from_be_bytes(bytes.try_into().map_err(|_| Unfit::OutOfRange)?);
    let value = match unit {
        // -infinity; infinity overflows below.
        TimeUnit::Timestamptz if value == i64::MIN => None,
        TimeUnit::Timestamptz => value.checked_add(POSTGRES_EPOCH_US),
        unit => value.checked_mul(unit.micros()),
    };
    value.ok_or(Unfit::OutOfRange)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_of_every_unit_are_microseconds() {
        let at = |value: i64, unit| int(&value.to_be_bytes(), unit);
        assert_eq!(at(5, TimeUnit::Microseconds), Ok(5));
        assert_eq!(at(-5, TimeUnit::Milliseconds), Ok(-5_000));
        assert_eq!(at(5, TimeUnit::Seconds), Ok(5_000_000));
        assert_eq!(at(-POSTGRES_EPOCH_US, TimeUnit::Timestamptz), Ok(0));
        for infinite in [i64::MAX, i64::MIN] {
            assert_eq!(at(infinite, TimeUnit::Timestamptz), Err(Unfit::OutOfRange));
            assert_eq!(at(infinite, TimeUnit::Seconds), Err(Unfit::OutOfRange));
        }
    }

    proptest! {
        #[test]
        fn a_value_of_any_bytes_is_a_value_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..12)) {
            prop_assert_eq!(int(&bytes, TimeUnit::Microseconds).is_ok(), bytes.len() == 8);
            let _ = int(&bytes, TimeUnit::Timestamptz);
            prop_assert_eq!(flag(&bytes).is_ok(), bytes == [0] || bytes == [1]);
        }
    }
}
