//! A connection that is ours alone, in one read-only transaction that sees one state.

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, PgPool};

use super::PostgresError;
use super::copy::{Decoder, Step};
use crate::SourceError;

/// SQLSTATE invalid_parameter_value: what the server says of a snapshot that it does not know.
const INVALID_SNAPSHOT: &str = "22023";

/// Settings of every transaction; those that a server does not know are left out.
const SETTINGS: [(&str, &str); 10] = [
    // Compiling delays the first row by up to a second.
    ("jit", "off"),
    // The reader sets the pace.
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    ("transaction_timeout", "0"),
    // Users that a role may not see are an error, and not fewer users.
    ("row_security", "off"),
    ("timezone", "UTC"),
    ("datestyle", "ISO, YMD"),
    ("standard_conforming_strings", "on"),
    // Whoever goes away in the middle of a sort is noticed.
    ("client_connection_check_interval", "1s"),
];

/// Taken out of its pool and never given back: a copy that ends early leaves its connection out of
/// step. Dropped, it is cut off, and the server ends the transaction.
pub(super) struct Session {
    connection: PgConnection,
}

impl Session {
    /// Begins a transaction, on the state of another one if there is one to share.
    pub(super) async fn begin(
        pool: &PgPool,
        shared: Option<&str>,
        by_index: bool,
        values: Vec<(String, String)>,
    ) -> Result<Self, PostgresError> {
        let mut connection = pool.acquire().await?.detach();
        sqlx::raw_sql("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            .execute(&mut connection)
            .await?;
        if let Some(shared) = shared {
            // No statement of its kind takes a parameter. The server's own word: digits and hyphens.
            if !shared.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-') {
                return Err(PostgresError::Client("a snapshot has a strange name"));
            }
            let imported = sqlx::raw_sql(AssertSqlSafe(format!("SET TRANSACTION SNAPSHOT '{shared}'")))
                .execute(&mut connection)
                .await;
            imported.map_err(|error| match error.into() {
                // A snapshot that was there a moment ago ends with the connection that exported it.
                PostgresError::Refused { code, .. } if code == INVALID_SNAPSHOT => {
                    PostgresError::Lost("the snapshot ended with its connection".to_owned())
                }
                other => other,
            })?;
        }
        let own = SETTINGS
            .into_iter()
            // On a churned heap the planner would rather sort than follow the index.
            .chain(by_index.then_some(("enable_sort", "off")))
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let (names, values): (Vec<String>, Vec<String>) = own.chain(values).unzip();
        sqlx::query(
            "SELECT set_config(s.name, s.value, true) FROM unnest($1::text[], $2::text[]) AS s (name, value)
             WHERE s.name LIKE 'exeat.%' OR s.name IN (SELECT p.name FROM pg_settings p)",
        )
        .bind(names)
        .bind(values)
        .execute(&mut connection)
        .await?;
        Ok(Self { connection })
    }

    /// A number that a statement asks for.
    pub(super) async fn number(&mut self, sql: String) -> Result<i64, PostgresError> {
        Ok(sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_one(&mut self.connection)
            .await?)
    }

    /// The name by which another transaction can see the same state, as long as this one lives.
    pub(super) async fn share(&mut self) -> Result<String, PostgresError> {
        Ok(sqlx::query_scalar("SELECT pg_export_snapshot()")
            .fetch_one(&mut self.connection)
            .await?)
    }

    /// Begins to read the rows of a query.
    pub(super) async fn copy(&mut self, query: &str, fields: usize) -> Result<CopyRows<'_>, PostgresError> {
        let statement = format!("COPY ({query}) TO STDOUT (FORMAT binary)");
        Ok(CopyRows {
            pieces: self.connection.copy_out_raw(&statement).await?,
            decoder: Decoder::new(fields),
        })
    }

    /// Says farewell after all was read.
    pub(super) async fn close(self) {
        // All was read: a server that does not hear the farewell changes nothing.
        let _ = self.connection.close().await;
    }
}

/// Rows on their way from the server.
pub(super) struct CopyRows<'c> {
    pieces: BoxStream<'c, Result<Bytes, sqlx::Error>>,
    decoder: Decoder,
}

impl CopyRows<'_> {
    /// Goes to the next row; false where there is none.
    pub(super) async fn next(&mut self) -> Result<bool, SourceError> {
        loop {
            let step = self.decoder.step()?;
            if step == Step::Row {
                return Ok(true);
            }
            // After the end the server still has to say that all went well.
            match self.pieces.next().await {
                Some(piece) => self.decoder.feed(piece.map_err(PostgresError::from)?),
                None => {
                    self.decoder.finish()?;
                    return Ok(false);
                }
            }
        }
    }

    /// The bytes of a field of the row at hand; nothing for NULL.
    pub(super) fn field(&self, field: usize) -> Option<&[u8]> {
        self.decoder.field(field)
    }
}
