//! Where users are read and written: in the directory's own database, or in a platform's.

use std::path::PathBuf;

use exeat_gate::Field;
use sqlx::postgres::PgPool;

use crate::filter::Filter;
use crate::postgres::{PostgresUsers, SourceDefinition, ValidationError, write_users};
use crate::{Counting, DatabaseUrl, Directory, DirectoryError, Snapshot, SourceError, Tenant, UserWriter};
use crate::{source, writer};

/// The directory's own users.
#[derive(Clone, Debug)]
pub(crate) enum Users {
    Sqlite(PathBuf),
    Postgres(PgPool, PostgresUsers),
}

impl Users {
    pub(crate) fn of(url: &DatabaseUrl) -> Result<Self, DirectoryError> {
        Ok(match url {
            DatabaseUrl::Sqlite(file) => Self::Sqlite(file.clone()),
            DatabaseUrl::Postgres(url) => {
                let pool = PgPool::connect_lazy(url)?;
                let users = PostgresUsers::new(pool.clone(), SourceDefinition::exeat().into());
                Self::Postgres(pool, users)
            }
        })
    }
}

impl Directory {
    /// The same directory, whose users are read from a platform's own PostgreSQL database. The
    /// definition is held against that database before anything is read.
    ///
    /// # Errors
    /// The database cannot be asked, or the definition does not fit it.
    pub async fn reading_from(
        mut self,
        url: &str,
        definition: SourceDefinition,
    ) -> Result<Self, ValidationError> {
        let lazy = PgPool::connect_lazy(url).map_err(crate::postgres::PostgresError::from)?;
        definition.validate(&lazy).await?;
        self.platform = Some(PostgresUsers::new(lazy, definition.into()));
        Ok(self)
    }

    /// Whether users have this field where they are read from.
    pub fn can_read(&self, field: &Field) -> bool {
        self.platform
            .as_ref()
            .is_none_or(|platform| platform.definition().defines(field))
    }

    /// The platform from whose database users are read, if it is not the directory's own.
    pub fn platform(&self) -> Option<&str> {
        self.platform
            .as_ref()
            .map(|platform| platform.definition().name())
    }

    /// Whether a tenant's users can be read by this filter where they are read from.
    ///
    /// # Errors
    /// The source lacks what the filter asks about, or holds the users of another tenant alone.
    pub fn accept(&self, tenant: &Tenant, filter: &Filter) -> Result<(), SourceError> {
        match &self.platform {
            Some(platform) => platform.accept(tenant, filter),
            None => Ok(()),
        }
    }

    /// Opens a consistent state of the tenant's users that the filter lets through.
    ///
    /// # Errors
    /// The filter asks about something that the source lacks, or the database refused.
    pub async fn snapshot(
        &self,
        tenant: &Tenant,
        filter: &Filter,
        counting: Counting,
    ) -> Result<Snapshot, SourceError> {
        match (&self.platform, &self.users) {
            (Some(platform), _) => platform.snapshot(tenant, filter, counting).await,
            (None, Users::Postgres(_, users)) => users.snapshot(tenant, filter, counting).await,
            (None, Users::Sqlite(file)) => source::sqlite::snapshot(file, tenant, filter, counting).await,
        }
    }

    /// Lends a writer of the tenant's users to `fill`, on a thread of its own. What is written
    /// before `fill` fails stays, up to the last full transaction.
    ///
    /// # Errors
    /// The database refused, or `fill` failed.
    pub async fn write_users<T, E>(
        &self,
        tenant: &Tenant,
        fill: impl FnOnce(&mut UserWriter<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DirectoryError> + Send + 'static,
    {
        match &self.users {
            Users::Sqlite(file) => writer::sqlite::write_users(file, tenant, fill).await,
            Users::Postgres(pool, _) => write_users(pool, tenant, fill).await,
        }
    }
}
