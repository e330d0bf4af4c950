//! Requests that are repeated: whoever did not hear our answer asks again, and gets the same export.

use sqlx::{AnyConnection, Row as _};

use super::IdempotencyKey;
use crate::database::text;
use crate::{DirectoryError, Tenant, now_us};

/// For how long a key is remembered.
const MEMORY_US: i64 = 24 * 3_600 * 1_000_000;

/// What a key stands for.
pub(super) enum Known {
    /// Nothing yet.
    New,
    /// The job of this id, which the same request made.
    Job(String),
    /// Another request.
    Other,
}

/// What a key stands for. Only in a transaction in which no other of the tenant does the same is it
/// what it stays.
pub(super) async fn find(
    connection: &mut AnyConnection,
    tenant: &Tenant,
    asked: &IdempotencyKey,
) -> Result<Known, DirectoryError> {
    let row = sqlx::query(
        "SELECT fingerprint, job_id FROM idempotency_keys WHERE tenant_id = $1 AND key = $2 AND created_at >= $3",
    )
    .bind(tenant.id)
    .bind(text(&asked.key))
    .bind(now_us() - MEMORY_US)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(Known::New) };
    let fingerprint: Vec<u8> = row.try_get(0)?;
    Ok(if fingerprint == asked.fingerprint {
        Known::Job(row.try_get(1)?)
    } else {
        Known::Other
    })
}

/// Forgets keys that stand for nothing any more.
pub(super) async fn forget_old(
    connection: &mut AnyConnection,
    tenant: &Tenant,
) -> Result<(), DirectoryError> {
    sqlx::query("DELETE FROM idempotency_keys WHERE tenant_id = $1 AND created_at < $2")
        .bind(tenant.id)
        .bind(now_us() - MEMORY_US)
        .execute(&mut *connection)
        .await?;
    Ok(())
}

/// Remembers for which job a key stands.
pub(super) async fn remember(
    connection: &mut AnyConnection,
    tenant: &Tenant,
    asked: &IdempotencyKey,
    job_id: &str,
) -> Result<(), DirectoryError> {
    sqlx::query(
        "INSERT INTO idempotency_keys (tenant_id, key, fingerprint, job_id, created_at) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(tenant.id)
    .bind(text(&asked.key))
    .bind(asked.fingerprint.as_slice())
    .bind(job_id)
    .bind(now_us())
    .execute(&mut *connection)
    .await?;
    Ok(())
}
