//! What left, what was refused, and who asked.

use aide::axum::ApiRouter;
use aide::axum::routing::get_with;
use axum::Json;
use axum::extract::State;
use exeat_directory::audit::AuditEntry;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::auth::{Granted, ReadAudit};
use crate::input::Params;
use crate::openapi::Describe as _;
use crate::page::PageSize;
use crate::problem::Problem;
use crate::{App, page};

const PAGE: PageSize = PageSize {
    usual: 50,
    most: 1_000,
};

pub(crate) fn routes() -> ApiRouter<App> {
    let summary = "List what left, what was refused, and who asked, the newest first";
    ApiRouter::new().api_route(
        "/v1/audit",
        get_with(list, |op| op.named("listAudit", "audit", summary)),
    )
}

/// Query of the trail.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditQuery {
    /// Records on a page: 50 if left out, 1,000 at most.
    #[schemars(range(min = 1, max = PAGE.most))]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<i64>,
}

/// A page of the trail.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AuditPage {
    records: Vec<AuditEntry>,
    /// `cursor` of the next page, if there is one.
    next_cursor: Option<i64>,
}

/// `GET /v1/audit?limit=&cursor=`: the tenant's records, the newest first.
pub(crate) async fn list(
    State(app): State<App>,
    granted: Granted<ReadAudit>,
    Params(query): Params<AuditQuery>,
) -> Result<Json<AuditPage>, Problem> {
    let limit = PAGE.of(query.limit)?;
    let before = query.cursor.unwrap_or(i64::MAX);
    let directory = app.engine.directory();
    let mut records = directory
        .audit_before(granted.tenant(), before, page::asked(limit))
        .await?;
    let next_cursor = page::cut(&mut records, limit, |record| record.audit_id);
    Ok(Json(AuditPage { records, next_cursor }))
}
