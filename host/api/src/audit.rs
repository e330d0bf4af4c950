//! What left, what was refused, and who asked.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::auth::{Granted, ReadAudit};
use crate::problem::Problem;
use crate::{App, page};

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 1_000;

/// Query of the trail.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditQuery {
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<i64>,
}

/// `GET /v1/audit?limit=&cursor=`: the tenant's records, the newest first.
pub(crate) async fn list(
    State(app): State<App>,
    granted: Granted<ReadAudit>,
    query: Result<Query<AuditQuery>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(query) = query.map_err(|rejection| Problem::new("invalid-query", rejection.body_text()))?;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let before = query.cursor.unwrap_or(i64::MAX);
    let directory = app.engine.directory();
    let mut records = directory
        .audit_before(granted.tenant(), before, page::asked(limit))
        .await?;
    let next_cursor = page::cut(&mut records, limit, |record| record.audit_id);
    Ok(Json(json!({"records": records, "next_cursor": next_cursor})))
}
