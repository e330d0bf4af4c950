//! Plugins: upload one, watch its admission, try it, see what it logs and costs.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use exeat_directory::format_timestamp;
use exeat_engine::{DryRun, PluginSummary, Upload};
use exeat_sandbox::{LimitSettings, MAX_COMPONENT_BYTES, is_plugin_name};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::App;
use crate::auth::{AnyToken, Granted, ManagePlugins, ReadPlugins};
use crate::exports::body_problem;
use crate::problem::Problem;

/// How long an upload waits for its admission to end before it answers 202.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long the body of an upload may take.
const BODY_PATIENCE: Duration = Duration::from_secs(120);

const DEFAULT_LINES: u32 = 200;
const MAX_LINES: u32 = 1_000;

/// Name and version in a path.
type Version = Path<(String, String)>;

/// `GET /v1/plugins`: those that ship, and the tenant's own.
pub(crate) async fn list(State(app): State<App>, granted: Granted<AnyToken>) -> Result<Json<Value>, Problem> {
    Ok(Json(
        json!({"plugins": app.engine.plugins_of(granted.tenant()).await?}),
    ))
}

/// Query of an upload.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UploadQuery {
    name: String,
    version: String,
}

/// `POST /v1/plugins?name=&version=`: the component as the body.
pub(crate) async fn upload(
    State(app): State<App>,
    granted: Granted<ManagePlugins>,
    query: Result<Query<UploadQuery>, QueryRejection>,
    body: Body,
) -> Result<Response, Problem> {
    let Query(UploadQuery { name, version }) = query.map_err(|rejection| {
        Problem::new("invalid-query", rejection.body_text())
            .hint("POST /v1/plugins?name=shout&version=0.1.0, with the component as the body")
    })?;
    let uploaded = {
        let place = app.engine.upload_place().await?;
        let read = tokio::time::timeout(BODY_PATIENCE, axum::body::to_bytes(body, MAX_COMPONENT_BYTES));
        let component = match read.await {
            Ok(Ok(component)) => component,
            Ok(Err(_)) => return Err(too_large()),
            Err(_) => return Err(Problem::new("invalid-query", "the body took too long")),
        };
        let upload = Upload {
            name,
            version,
            component,
        };
        app.engine
            .upload_plugin(granted.tenant(), &granted.actor(), upload, place, PATIENCE)
            .await?
    };
    let plugin = uploaded.plugin;
    let status = match plugin.own.as_ref().map(|own| own.state) {
        Some("admitting") => StatusCode::ACCEPTED,
        _ if uploaded.existed => StatusCode::OK,
        _ => StatusCode::CREATED,
    };
    let location = format!("/v1/plugins/{}/{}", plugin.name, plugin.version);
    let mut response = (status, Json(plugin)).into_response();
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    if status == StatusCode::ACCEPTED {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
    }
    Ok(response)
}

fn too_large() -> Problem {
    Problem::new(
        "too-large",
        "a component has at most 32 MiB, and its body ends as it said it would",
    )
}

/// `GET /v1/plugins/{name}`: every version.
pub(crate) async fn versions(
    State(app): State<App>,
    granted: Granted<ReadPlugins>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let mut plugins = app.engine.plugins_of(granted.tenant()).await?;
    plugins.retain(|plugin| plugin.name == name);
    if plugins.is_empty() {
        return Err(Problem::new("not-found", "there is no such plugin"));
    }
    Ok(Json(json!({"versions": plugins})))
}

/// `GET /v1/plugins/{name}/{version}`.
pub(crate) async fn get(
    State(app): State<App>,
    granted: Granted<ReadPlugins>,
    Path((name, version)): Version,
) -> Result<Json<PluginSummary>, Problem> {
    Ok(Json(
        app.engine.own_plugin(granted.tenant(), &name, &version).await?,
    ))
}

/// `POST /v1/plugins/{name}/{version}/enable`.
pub(crate) async fn enable(
    State(app): State<App>,
    granted: Granted<ManagePlugins>,
    Path((name, version)): Version,
) -> Result<Json<PluginSummary>, Problem> {
    let enabled = app
        .engine
        .enable_plugin(granted.tenant(), &granted.actor(), &name, &version)
        .await?;
    Ok(Json(enabled))
}

/// `POST /v1/plugins/{name}/{version}/disable`.
pub(crate) async fn disable(
    State(app): State<App>,
    granted: Granted<ManagePlugins>,
    Path((name, version)): Version,
) -> Result<Json<PluginSummary>, Problem> {
    let disabled = app
        .engine
        .disable_plugin(granted.tenant(), &granted.actor(), &name, &version)
        .await?;
    Ok(Json(disabled))
}

/// `DELETE /v1/plugins/{name}/{version}`.
pub(crate) async fn delete(
    State(app): State<App>,
    granted: Granted<ManagePlugins>,
    Path((name, version)): Version,
) -> Result<StatusCode, Problem> {
    app.engine
        .delete_plugin(granted.tenant(), &granted.actor(), &name, &version)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Body of a dry run.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DryRunBody {
    #[serde(default = "empty")]
    config: Value,
    rows: Vec<Value>,
    #[serde(default)]
    fuel: bool,
}

fn empty() -> Value {
    json!({})
}

/// `POST /v1/plugins/{name}/{version}/dry-run`: sample rows in; rows, rejects and figures out.
pub(crate) async fn dry_run(
    State(app): State<App>,
    granted: Granted<ManagePlugins>,
    Path((name, version)): Version,
    body: Result<Json<DryRunBody>, JsonRejection>,
) -> Result<Json<Value>, Problem> {
    let Json(DryRunBody { config, rows, fuel }) = body.map_err(body_problem)?;
    let dry_run = DryRun { config, rows, fuel };
    let ran = app
        .engine
        .dry_run(granted.tenant(), &name, &version, dry_run)
        .await?;
    let outcome = ran.outcome;
    let rejects: Vec<Value> = outcome
        .rejects
        .iter()
        .map(|reject| {
            json!({
                "row": reject.row, "user_id": reject.user_id, "field": reject.field, "code": reject.code,
                "message": reject.message,
            })
        })
        .collect();
    let files: Vec<Value> = outcome
        .files
        .iter()
        .map(|(name, bytes)| json!({"name": name, "text": String::from_utf8_lossy(bytes)}))
        .collect();
    let log: Vec<Value> = outcome
        .log
        .iter()
        .map(|line| json!({"level": line.level.name(), "text": line.text}))
        .collect();
    Ok(Json(json!({
        "reads": outcome.reads, "rows": outcome.rows, "files": files, "dropped": outcome.dropped,
        "rejected": outcome.rejected, "rejects": rejects, "losses": outcome.losses, "log": log,
        "figures": ran.metrics,
    })))
}

/// Query of a log.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogQuery {
    after: Option<i64>,
    limit: Option<u32>,
}

/// `GET /v1/plugins/{name}/{version}/logs?after=&limit=`: the newest lines, oldest first.
pub(crate) async fn logs(
    State(app): State<App>,
    granted: Granted<ReadPlugins>,
    Path((name, version)): Version,
    query: Result<Query<LogQuery>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(query) = query.map_err(|rejection| Problem::new("invalid-query", rejection.body_text()))?;
    let limit = query.limit.unwrap_or(DEFAULT_LINES).clamp(1, MAX_LINES);
    let lines = app
        .engine
        .plugin_log(
            granted.tenant(),
            &granted.actor(),
            &name,
            &version,
            query.after,
            limit,
        )
        .await?;
    let lines: Vec<Value> = lines
        .into_iter()
        .map(|line| {
            json!({
                "id": line.log_id, "at": format_timestamp(line.at), "level": line.level, "export": line.job_id,
                "text": line.text,
            })
        })
        .collect();
    Ok(Json(json!({"lines": lines})))
}

/// `GET /v1/plugins/{name}/{version}/metrics`.
pub(crate) async fn metrics(
    State(app): State<App>,
    granted: Granted<ReadPlugins>,
    Path((name, version)): Version,
) -> Result<Json<Value>, Problem> {
    let metrics = app
        .engine
        .plugin_metrics(granted.tenant(), &name, &version)
        .await?;
    Ok(Json(json!(metrics)))
}

/// In a path, every plugin that has no limits of its own.
const ALL: &str = "*";

/// A plugin's name, without the namespace of those that ship; nothing stands for all.
fn limited(name: &str) -> Result<&str, Problem> {
    let bare = name.strip_prefix("exeat/").unwrap_or(name);
    match name {
        ALL => Ok(""),
        _ if is_plugin_name(bare) => Ok(bare),
        _ => Err(Problem::new("not-found", "there is no plugin of such a name")),
    }
}

/// `GET /v1/plugin-limits/{name}`: the limits that hold; `*` for all plugins.
pub(crate) async fn limits(
    State(app): State<App>,
    granted: Granted<ReadPlugins>,
    Path(name): Path<String>,
) -> Result<Json<LimitSettings>, Problem> {
    let limits = app
        .engine
        .plugin_limits(granted.tenant(), limited(&name)?)
        .await?;
    Ok(Json(limits.settings()))
}

/// `PUT /v1/plugin-limits/{name}`: sets limits; those that are left out go back to the default.
pub(crate) async fn set_limits(
    State(app): State<App>,
    granted: Granted<ManagePlugins>,
    Path(name): Path<String>,
    body: Result<Json<LimitSettings>, JsonRejection>,
) -> Result<Json<LimitSettings>, Problem> {
    let Json(settings) = body.map_err(body_problem)?;
    let (tenant, actor) = (granted.tenant(), granted.actor());
    let limits = app
        .engine
        .set_plugin_limits(tenant, &actor, limited(&name)?, Some(&settings))
        .await?;
    Ok(Json(limits.settings()))
}
