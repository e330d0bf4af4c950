//! Users a page at a time, and how many there are.

use aide::axum::ApiRouter;
use aide::axum::routing::get_with;
use axum::Json;
use axum::extract::State;
use exeat_encode::Format;
use exeat_engine::ExportRequest;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::App;
use crate::auth::{Granted, ReadUsers};
use crate::exports::REQUEST_PROBLEMS;
use crate::input::Body;
use crate::openapi::Describe as _;
use crate::page::{self, PageSize};
use crate::problem::Problem;
use crate::users_query::UsersQuery;

const PAGE: PageSize = PageSize { usual: 50, most: 200 };

/// What tells users apart, and pages from each other.
const USER_ID: &str = "user_id";

pub(crate) fn routes() -> ApiRouter<App> {
    ApiRouter::new()
        .api_route(
            "/v1/users",
            get_with(list, |op| {
                let summary = "List users, in the order of their ids, 200 at most: next_cursor is the next page's after";
                op.named("listUsers", "users", summary)
                    .refuses(&REQUEST_PROBLEMS)
                    .refuses(&["too-many-streams", "too-large-preview"])
            }),
        )
        .api_route(
            "/v1/users/count",
            get_with(count_by_query, |op| {
                op.named("countUsers", "users", "Count users")
                    .refuses(&REQUEST_PROBLEMS)
            })
            .post_with(count_by_body, |op| {
                op.named("countUsersByBody", "users", "Count users, for whom a query is too short")
                    .refuses(&REQUEST_PROBLEMS)
            }),
        )
}

/// A page of users.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct UsersPage {
    /// As a line of NDJSON would show each, and with `user_id` in any case.
    users: Vec<Map<String, Value>>,
    /// `after` of the next page, if there is one.
    next_cursor: Option<String>,
}

/// `GET /v1/users`.
async fn list(
    State(app): State<App>,
    granted: Granted<ReadUsers>,
    UsersQuery(request): UsersQuery,
) -> Result<Json<UsersPage>, Problem> {
    if !request.transforms.is_empty() {
        let detail = "a list shows users as they are";
        return Err(
            Problem::new("conflict", detail).hint("POST /v1/exports/dry-run shows what transforms do")
        );
    }
    let asked = request
        .limit
        .map(|limit| u32::try_from(limit).unwrap_or(u32::MAX));
    let limit = PAGE.of(asked)?;
    let mut fields = request.fields;
    if let Some(fields) = &mut fields
        && !fields.iter().any(|name| name == USER_ID)
    {
        fields.push(USER_ID.to_owned());
    }
    let request = ExportRequest {
        format: Some(Format::Ndjson),
        fields,
        limit: None,
        ..request
    };
    let preview = app
        .engine
        .preview(&granted.requester(), &request, page::asked(limit))
        .await?;
    let lines = preview
        .files
        .iter()
        .flat_map(|file| file.bytes.split(|byte| *byte == b'\n'));
    let users: Result<Vec<Map<String, Value>>, _> = lines
        .filter(|line| !line.is_empty())
        .map(serde_json::from_slice)
        .collect();
    let mut users = users.map_err(|error| Problem::internal(&error))?;
    let next_cursor = page::cut(&mut users, limit, |user| {
        user.get(USER_ID)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    });
    Ok(Json(UsersPage { users, next_cursor }))
}

/// How many users there are.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CountView {
    users: u64,
}

/// `GET /v1/users/count`.
async fn count_by_query(
    State(app): State<App>,
    granted: Granted<ReadUsers>,
    UsersQuery(request): UsersQuery,
) -> Result<Json<CountView>, Problem> {
    count(&app, &granted, &request).await
}

/// The same for whom a query is too short: the body of `POST /v1/exports`.
async fn count_by_body(
    State(app): State<App>,
    granted: Granted<ReadUsers>,
    Body(request): Body<ExportRequest>,
) -> Result<Json<CountView>, Problem> {
    count(&app, &granted, &request).await
}

async fn count(
    app: &App,
    granted: &Granted<ReadUsers>,
    request: &ExportRequest,
) -> Result<Json<CountView>, Problem> {
    let users = app.engine.count(&granted.requester(), request).await?;
    Ok(Json(CountView { users }))
}
