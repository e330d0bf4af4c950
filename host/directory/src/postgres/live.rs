//! A definition, held against the database that it speaks of.

use std::sync::Arc;

use exeat_gate::{ColumnType, catalog};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Column as _, Executor as _, PgPool, Statement as _, TypeInfo as _};
use thiserror::Error;

use super::PostgresError;
use super::statements::Statements;
use crate::SourceError;
use crate::filter::Filter;
use crate::source::definition::{SourceDefinition, TimeUnit};
use crate::source::fragment::{self, TENANT, TENANT_ID};

/// A definition does not fit the database.
#[derive(Debug, Error)]
pub enum ValidationError {
    /// A member of the definition does not fit.
    #[error("{place}: {reason}")]
    Unfit {
        /// Path of the member in the file, such as `fields.email.sql`.
        place: String,
        /// What is wrong, with the name of the column where one is missing.
        reason: String,
    },
    /// The database could not be asked.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
}

/// Types of text, as sqlx calls them.
const TEXTS: [&str; 5] = ["TEXT", "VARCHAR", "CHAR", "NAME", "citext"];
const INTEGERS: [&str; 3] = ["INT2", "INT4", "INT8"];
/// Every condition, to be prepared with those that a definition can answer.
const CONDITIONS: [&str; 19] = [
    "state=active",
    "created_after=2025-01-01",
    "updated_after=2025-01-01",
    "last_signed_in_after=2025-01-01",
    "email_verified=true",
    "email=a",
    "group=a",
    "connection=a",
    "q=a",
    "phone_verified eq true",
    "given_name eq \"a\"",
    "family_name eq \"a\"",
    "nickname eq \"a\"",
    "picture eq \"a\"",
    "locale eq \"a\"",
    "last_ip eq \"a\"",
    "logins_count gt 1",
    "custom_attributes.a gt 1",
    "app_metadata.a gt 1",
];

impl SourceDefinition {
    /// Holds the definition against the database: every column exists, every fragment has a type
    /// that fits its field, and the key is unique and never NULL. Reads no user.
    ///
    /// # Errors
    /// The first member that does not fit, or the database could not be asked.
    pub async fn validate(&self, pool: &PgPool) -> Result<(), ValidationError> {
        let mut connection = pool.acquire().await.map_err(PostgresError::from)?;
        let mut live = Live {
            connection: &mut connection,
        };
        self.validate_users(&mut live).await?;
        self.validate_sides(&mut live).await?;
        self.validate_key(&mut live).await?;
        self.validate_statements(&mut live).await
    }

    async fn validate_users(&self, live: &mut Live<'_>) -> Result<(), ValidationError> {
        let from = &self.users.from;
        live.type_of("users.from", from, "TRUE").await?;
        for (place, sql) in self.user_fragments() {
            let found = live.type_of(&place, from, sql).await?;
            let field = place
                .strip_prefix("fields.")
                .and_then(|field| field.split('.').next());
            let fits: &[&str] = match (place.as_str(), field) {
                ("users.key", _) => &TEXTS,
                ("users.tenant" | "users.tenant_exists" | "users.where", _) => &["BOOL"],
                (_, Some(field)) => self.types_of(field),
                _ => continue,
            };
            live.expect(&place, &found, fits)?;
        }
        Ok(())
    }

    /// Types that a field's fragment may have.
    fn types_of(&self, name: &str) -> &'static [&'static str] {
        let unit = self.fields.get(name).and_then(|field| field.unit);
        match catalog().field(name).map(|field| field.column_type) {
            Some(ColumnType::Json) => &["JSON", "JSONB", "TEXT"],
            Some(ColumnType::Boolean) => &["BOOL"],
            Some(ColumnType::TimestampUs) if unit == Some(TimeUnit::Timestamptz) => &["TIMESTAMPTZ"],
            Some(ColumnType::Int64 | ColumnType::TimestampUs) => &INTEGERS,
            _ => &TEXTS,
        }
    }

    async fn validate_sides(&self, live: &mut Live<'_>) -> Result<(), ValidationError> {
        for (name, side, values) in self.sides() {
            live.type_of(&format!("{name}.from"), &side.from, "TRUE").await?;
            let mut fragments = vec![("key", side.key.as_str(), &TEXTS[..])];
            fragments.extend(side.condition.as_deref().map(|sql| ("where", sql, &["BOOL"][..])));
            fragments.extend(values.into_iter().map(|(place, sql)| {
                let fits = if place == "position" {
                    &INTEGERS[..]
                } else {
                    &TEXTS
                };
                (place, sql, fits)
            }));
            for (place, sql, fits) in fragments {
                let place = format!("{name}.{place}");
                let found = live.type_of(&place, &side.from, sql).await?;
                live.expect(&place, &found, fits)?;
            }
            if let Some(order) = &side.order {
                live.type_of(&format!("{name}.order"), &side.from, order).await?;
            }
        }
        Ok(())
    }

    /// The key is a column with NOT NULL and a unique index: over it alone, or together with
    /// columns that the tenant's condition names.
    async fn validate_key(&self, live: &mut Live<'_>) -> Result<(), ValidationError> {
        let unfit = |reason: String| ValidationError::Unfit {
            place: "users.key".to_owned(),
            reason,
        };
        let (alias, key) = fragment::column_of(&self.users.key).unwrap_or_default();
        let tables = self.user_tables();
        let Some(table) = tables.iter().find(|table| table.alias == alias) else {
            return Err(unfit(format!("{alias} is no table of users.from")));
        };
        let quoted: Vec<String> = table
            .table
            .iter()
            .map(|part| format!("\"{}\"", part.replace('"', "\"\"")))
            .collect();
        let quoted = quoted.join(".");
        let not_null: Option<bool> = sqlx::query_scalar(
            "SELECT attnotnull FROM pg_attribute WHERE attrelid = to_regclass($1) AND attname = $2",
        )
        .bind(&quoted)
        .bind(&key)
        .fetch_optional(&mut *live.connection)
        .await
        .map_err(PostgresError::from)?;
        if not_null != Some(true) {
            return Err(unfit(format!("{key} may be NULL; a key is never")));
        }
        let indexes: Vec<Vec<String>> = sqlx::query_scalar(
            "SELECT array_agg(a.attname::text) FROM pg_index i
             JOIN pg_attribute a
               ON a.attrelid = i.indrelid AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
             WHERE i.indrelid = to_regclass($1) AND i.indisunique AND i.indisvalid
               AND i.indpred IS NULL AND i.indexprs IS NULL
             GROUP BY i.indexrelid",
        )
        .bind(&quoted)
        .fetch_all(&mut *live.connection)
        .await
        .map_err(PostgresError::from)?;
        let condition = self.users.tenant.as_deref().unwrap_or_default();
        let of_tenant = fragment::columns(condition);
        let unique = indexes.iter().any(|columns| {
            columns.contains(&key)
                && columns
                    .iter()
                    .all(|column| *column == key || of_tenant.contains(&(alias.clone(), column.clone())))
        });
        if !unique {
            return Err(unfit(format!(
                "{key} has no unique index of its own, nor one with columns of users.tenant"
            )));
        }
        Ok(())
    }

    /// The statements as they will run, with every field and every condition.
    async fn validate_statements(&self, live: &mut Live<'_>) -> Result<(), ValidationError> {
        let unfit = |place: &str, reason: String| ValidationError::Unfit {
            place: place.to_owned(),
            reason,
        };
        let refused = |error: SourceError| unfit("users", error.to_string());
        let answered = CONDITIONS.into_iter().filter(|condition| {
            Filter::parse(&[condition]).is_ok_and(|filter| self.check_filter(&filter).is_ok())
        });
        let answered: Vec<&str> = answered.collect();
        let filter = Filter::parse(&answered).map_err(|error| unfit("fields", error.reason))?;
        let definition = Arc::new(self.clone());
        let statements = Statements::of(&definition, 0, "", &filter).map_err(refused)?;
        let fields: Vec<_> = self.defined_fields().collect();
        let plan = statements.plan(&fields).map_err(refused)?;
        live.prepare("users", statements.count()).await?;
        if let Some(exists) = statements.tenant_exists() {
            live.prepare("users.tenant_exists", exists).await?;
        }
        live.prepare("users.order", plan.users).await?;
        if let Some(sides) = plan.sides {
            live.prepare("groups, mfa_factor_count, identities", sides)
                .await?;
        }
        Ok(())
    }
}

struct Live<'c> {
    connection: &'c mut PgConnection,
}

impl Live<'_> {
    /// Type of an expression over these tables.
    async fn type_of(&mut self, place: &str, from: &str, sql: &str) -> Result<String, ValidationError> {
        let sql = format!("SELECT ({sql}) FROM {from}")
            .replace(TENANT_ID, "(0::bigint)")
            .replace(TENANT, "current_setting('exeat.tenant')");
        self.prepare(place, sql).await
    }

    /// Prepares a statement, which reads nothing; says the type of its first column.
    async fn prepare(&mut self, place: &str, sql: String) -> Result<String, ValidationError> {
        let prepared = (&mut *self.connection)
            .prepare(sqlx::SqlSafeStr::into_sql_str(AssertSqlSafe(sql)))
            .await;
        match prepared {
            Ok(statement) => Ok(statement
                .columns()
                .first()
                .map(|column| column.type_info().name().to_owned())
                .unwrap_or_default()),
            Err(error) => Err(match PostgresError::from(error) {
                error @ (PostgresError::Lost(_) | PostgresError::Client(_)) => error.into(),
                error => ValidationError::Unfit {
                    place: place.to_owned(),
                    reason: error.reason(),
                },
            }),
        }
    }

    fn expect(&self, place: &str, found: &str, fits: &[&str]) -> Result<(), ValidationError> {
        if fits.contains(&found) {
            return Ok(());
        }
        Err(ValidationError::Unfit {
            place: place.to_owned(),
            reason: format!(
                "is of type {}; it must be {}",
                found.to_lowercase(),
                fits.join(" or ").to_lowercase()
            ),
        })
    }
}
