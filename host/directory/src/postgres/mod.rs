//! Users in PostgreSQL: read as one consistent state through COPY, written in batches.
//!
//! ```text
//! connection 1 ── users, in the order of their keys ───────────────┐
//!      │ pg_export_snapshot                                         ├─ merged ──► RawBatch
//! connection 2 ── groups, factors, identities, in the same order ──┘
//! ```
//!
//! What is read is told by a [`SourceDefinition`]: Exeat's own tables are one, a platform's own
//! database another.

mod copy;
mod error;
mod filter;
mod live;
mod merge;
mod reader;
mod session;
mod statements;
mod writer;

use std::sync::Arc;

use sqlx::PgPool;

use crate::filter::Filter;
use crate::source::Snapshot;
use crate::{Counting, SourceError, Tenant};

pub use crate::source::definition::{DefinitionError, SourceDefinition};
pub use error::PostgresError;
pub use live::ValidationError;
pub use writer::write_users;

pub(crate) use error::is_transient;
pub(crate) use filter::is_filter_field;
pub(crate) use writer::PostgresSink;

/// The users of a PostgreSQL database, as a definition describes them.
#[derive(Clone, Debug)]
pub struct PostgresUsers {
    pool: PgPool,
    definition: Arc<SourceDefinition>,
}

impl PostgresUsers {
    /// Users that are read through connections of this pool. A snapshot takes one or two out of the
    /// pool for good, so that none comes back in the middle of a copy.
    pub fn new(pool: PgPool, definition: Arc<SourceDefinition>) -> Self {
        Self { pool, definition }
    }

    /// What is read, and how.
    pub fn definition(&self) -> &SourceDefinition {
        &self.definition
    }

    /// Whether a tenant's users can be read from here, by this filter. Asks no database.
    ///
    /// # Errors
    /// The filter asks about something that the definition lacks, or the database holds the users of
    /// another tenant alone.
    pub fn accept(&self, tenant: &Tenant, filter: &Filter) -> Result<(), SourceError> {
        statements::Statements::new(&self.definition, tenant, filter).map(drop)
    }

    /// Opens a consistent state of the tenant's users that the filter lets through. Fields that the
    /// definition lacks are refused when they are read.
    ///
    /// # Errors
    /// The filter asks about something that the definition lacks, the database holds the users of
    /// another tenant alone, or it refused.
    pub async fn snapshot(
        &self,
        tenant: &Tenant,
        filter: &Filter,
        counting: Counting,
    ) -> Result<Snapshot, SourceError> {
        let statements = statements::Statements::new(&self.definition, tenant, filter)?;
        let pool = self.pool.clone();
        Snapshot::opened_by(counting, move |reading| {
            tokio::spawn(reader::read_snapshot(pool, statements, reading));
        })
        .await
    }
}
