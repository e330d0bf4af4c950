//! Plugins: upload one, watch its admission, try it, see what it logs and costs.

use std::time::Duration;

use aide::axum::ApiRouter;
use aide::axum::routing::{get_with, post_with};
use axum::Json;
use axum::body::Body as Bytestream;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, NoContent, Response};
use exeat_directory::format_timestamp;
use exeat_engine::{DryRun, DryRunOutcome, PluginMetrics, PluginSummary, Upload};
use exeat_sandbox::{LimitSettings, Loss, MAX_COMPONENT_BYTES, is_plugin_name};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::App;
use crate::auth::{AnyToken, Granted, ManagePlugins, ReadPlugins};
use crate::input::{At, Body, Params};
use crate::openapi::Describe as _;
use crate::page::PageSize;
use crate::problem::Problem;

/// How long an upload waits for its admission to end before it answers 202.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long the body of an upload may take.
const BODY_PATIENCE: Duration = Duration::from_secs(120);

const LINES: PageSize = PageSize {
    usual: 200,
    most: 1_000,
};

pub(crate) fn routes() -> ApiRouter<App> {
    ApiRouter::new()
        .api_route(
            "/v1/plugins",
            get_with(list, |op| {
                op.named(
                    "listPlugins",
                    "plugins",
                    "List the plugins that ship, and the tenant's own",
                )
            })
            .post_with(upload, |op| {
                let summary =
                    "Upload a version of a plugin; 202 if its admission takes longer than two seconds";
                op.named("uploadPlugin", "plugins", summary)
                    .takes_bytes("The component.", "application/wasm")
                    .response::<200, Json<PluginSummary>>()
                    .response::<201, Json<PluginSummary>>()
                    .response::<202, Json<PluginSummary>>()
                    .refuses(&["plugin-refused", "reserved-name", "too-large", "too-many-uploads"])
                    .refuses(&["too-many-versions", "version-exists"])
            })
            // The handler itself bounds the body, once there is room for it.
            .layer(DefaultBodyLimit::disable()),
        )
        .api_route(
            "/v1/plugins/{name}",
            get_with(versions, |op| {
                op.named("listPluginVersions", "plugins", "List every version of a plugin")
            }),
        )
        .api_route(
            "/v1/plugins/{name}/{version}",
            get_with(get, |op| op.named("getPlugin", "plugins", "Look at a version")).delete_with(
                delete,
                |op| {
                    op.named("deletePlugin", "plugins", "Delete a version that no export uses")
                        .refuses(&["plugin-in-use"])
                },
            ),
        )
        .api_route(
            "/v1/plugins/{name}/{version}/enable",
            post_with(enable, |op| {
                op.named("enablePlugin", "plugins", "Enable a version again")
                    .refuses(&["plugin-not-usable"])
            }),
        )
        .api_route(
            "/v1/plugins/{name}/{version}/disable",
            post_with(disable, |op| {
                op.named("disablePlugin", "plugins", "Disable a version")
                    .refuses(&["plugin-not-usable"])
            }),
        )
        .api_route(
            "/v1/plugins/{name}/{version}/dry-run",
            post_with(dry_run, |op| {
                op.named(
                    "dryRunPlugin",
                    "plugins",
                    "Try a version on sample rows; nothing is kept",
                )
                .refuses(&["invalid-rows", "invalid-config", "missing-field", "plugin-failed"])
                .refuses(&["busy", "plugin-not-usable", "never-exported", "unknown-plugin"])
            }),
        )
        .api_route(
            "/v1/plugins/{name}/{version}/logs",
            get_with(logs, |op| {
                op.named(
                    "readPluginLog",
                    "plugins",
                    "Read what a version logged, the oldest first",
                )
            }),
        )
        .api_route(
            "/v1/plugins/{name}/{version}/metrics",
            get_with(metrics, |op| {
                op.named("getPluginMetrics", "plugins", "Read what a version cost and did")
            }),
        )
        .api_route(
            "/v1/plugin-limits/{name}",
            get_with(limits, |op| {
                op.named(
                    "getPluginLimits",
                    "plugins",
                    "Read the limits that hold; * for all plugins",
                )
            })
            .put_with(set_limits, |op| {
                let summary = "Set limits; those that are left out go back to the default";
                op.named("setPluginLimits", "plugins", summary)
                    .refuses(&["limit-above-ceiling"])
            }),
        )
}

/// A plugin, by its name.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct PluginName {
    name: String,
}

/// A version of a plugin.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct PluginVersion {
    name: String,
    version: String,
}

/// Plugins.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PluginsView {
    plugins: Vec<PluginSummary>,
}

/// `GET /v1/plugins`: those that ship, and the tenant's own.
pub(crate) async fn list(
    State(app): State<App>,
    granted: Granted<AnyToken>,
) -> Result<Json<PluginsView>, Problem> {
    let plugins = app.engine.plugins_of(granted.tenant()).await?;
    Ok(Json(PluginsView { plugins }))
}

/// Query of an upload.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UploadQuery {
    /// Name of the plugin.
    name: String,
    /// Its semantic version.
    version: String,
}

/// `POST /v1/plugins?name=&version=`: the component as the body.
pub(crate) async fn upload(
    State(app): State<App>,
    granted: Granted<ManagePlugins>,
    Params(UploadQuery { name, version }): Params<UploadQuery>,
    body: Bytestream,
) -> Result<Response, Problem> {
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

/// The versions of a plugin.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct VersionsView {
    versions: Vec<PluginSummary>,
}

/// `GET /v1/plugins/{name}`: every version.
pub(crate) async fn versions(
    State(app): State<App>,
    granted: Granted<ReadPlugins>,
    At(PluginName { name }): At<PluginName>,
) -> Result<Json<VersionsView>, Problem> {
    let mut versions = app.engine.plugins_of(granted.tenant()).await?;
    versions.retain(|plugin| plugin.name == name);
    if versions.is_empty() {
        return Err(Problem::new("not-found", "there is no such plugin"));
    }
    Ok(Json(VersionsView { versions }))
}

/// `GET /v1/plugins/{name}/{version}`.
pub(crate) async fn get(
    State(app): State<App>,
    granted: Granted<ReadPlugins>,
    At(PluginVersion { name, version }): At<PluginVersion>,
) -> Result<Json<PluginSummary>, Problem> {
    Ok(Json(
        app.engine.own_plugin(granted.tenant(), &name, &version).await?,
    ))
}

/// `POST /v1/plugins/{name}/{version}/enable`.
pub(crate) async fn enable(
    State(app): State<App>,
    granted: Granted<ManagePlugins>,
    At(PluginVersion { name, version }): At<PluginVersion>,
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
    At(PluginVersion { name, version }): At<PluginVersion>,
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
    At(PluginVersion { name, version }): At<PluginVersion>,
) -> Result<NoContent, Problem> {
    app.engine
        .delete_plugin(granted.tenant(), &granted.actor(), &name, &version)
        .await?;
    Ok(NoContent)
}

/// Body of a dry run.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DryRunBody {
    /// Its configuration.
    #[serde(default = "empty")]
    #[schemars(with = "Map<String, Value>")]
    config: Value,
    /// Rows: JSON objects of fields that can leave.
    #[schemars(with = "Vec<Map<String, Value>>")]
    rows: Vec<Value>,
    /// Whether instructions are counted.
    #[serde(default)]
    fuel: bool,
}

fn empty() -> Value {
    Value::Object(Map::new())
}

/// What came of a dry run.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DryRunView {
    /// The columns that the plugin was given.
    reads: Vec<String>,
    /// The rows that a transform left.
    rows: Vec<Value>,
    /// The files that an adapter wrote.
    files: Vec<FileText>,
    /// Rows that were dropped.
    dropped: u64,
    /// Rows that were rejected.
    rejected: u64,
    rejects: Vec<RejectView>,
    /// What the destination cannot hold.
    losses: Vec<Loss>,
    /// What the plugin logged.
    log: Vec<LoggedView>,
    figures: PluginMetrics,
}

#[derive(Debug, Serialize, JsonSchema)]
struct FileText {
    name: String,
    text: String,
}

/// A row that could not be put out.
#[derive(Debug, Serialize, JsonSchema)]
struct RejectView {
    /// Its number, from 0.
    row: u32,
    user_id: Option<String>,
    field: Option<String>,
    code: String,
    message: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct LoggedView {
    level: &'static str,
    text: String,
}

impl From<DryRunOutcome> for DryRunView {
    fn from(ran: DryRunOutcome) -> Self {
        let outcome = ran.outcome;
        let rejects = outcome.rejects.into_iter().map(|reject| RejectView {
            row: reject.row,
            user_id: reject.user_id,
            field: reject.field,
            code: reject.code,
            message: reject.message,
        });
        let files = outcome.files.into_iter().map(|(name, bytes)| FileText {
            name,
            text: String::from_utf8_lossy(&bytes).into_owned(),
        });
        let log = outcome.log.into_iter().map(|line| LoggedView {
            level: line.level.name(),
            text: line.text,
        });
        Self {
            reads: outcome.reads,
            rows: outcome.rows,
            files: files.collect(),
            dropped: outcome.dropped,
            rejected: outcome.rejected,
            rejects: rejects.collect(),
            losses: outcome.losses,
            log: log.collect(),
            figures: ran.metrics,
        }
    }
}

/// `POST /v1/plugins/{name}/{version}/dry-run`: sample rows in; rows, rejects and figures out.
pub(crate) async fn dry_run(
    State(app): State<App>,
    granted: Granted<ManagePlugins>,
    At(PluginVersion { name, version }): At<PluginVersion>,
    Body(DryRunBody { config, rows, fuel }): Body<DryRunBody>,
) -> Result<Json<DryRunView>, Problem> {
    let dry_run = DryRun { config, rows, fuel };
    let ran = app
        .engine
        .dry_run(granted.tenant(), &name, &version, dry_run)
        .await?;
    Ok(Json(ran.into()))
}

/// Query of a log.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogQuery {
    /// Only lines after the one with this id.
    after: Option<i64>,
    /// Lines: 200 if left out, 1,000 at most.
    #[schemars(range(min = 1, max = LINES.most))]
    limit: Option<u32>,
}

/// What a plugin logged.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LogView {
    lines: Vec<LineView>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct LineView {
    id: i64,
    at: String,
    level: String,
    /// The export at which it worked.
    export: String,
    text: String,
}

/// `GET /v1/plugins/{name}/{version}/logs?after=&limit=`: the newest lines, oldest first.
pub(crate) async fn logs(
    State(app): State<App>,
    granted: Granted<ReadPlugins>,
    At(PluginVersion { name, version }): At<PluginVersion>,
    Params(query): Params<LogQuery>,
) -> Result<Json<LogView>, Problem> {
    let limit = LINES.of(query.limit)?;
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
    let lines = lines.into_iter().map(|line| LineView {
        id: line.log_id,
        at: format_timestamp(line.at),
        level: line.level,
        export: line.job_id,
        text: line.text,
    });
    Ok(Json(LogView {
        lines: lines.collect(),
    }))
}

/// `GET /v1/plugins/{name}/{version}/metrics`.
pub(crate) async fn metrics(
    State(app): State<App>,
    granted: Granted<ReadPlugins>,
    At(PluginVersion { name, version }): At<PluginVersion>,
) -> Result<Json<PluginMetrics>, Problem> {
    let metrics = app
        .engine
        .plugin_metrics(granted.tenant(), &name, &version)
        .await?;
    Ok(Json(metrics))
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
    At(PluginName { name }): At<PluginName>,
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
    At(PluginName { name }): At<PluginName>,
    Body(settings): Body<LimitSettings>,
) -> Result<Json<LimitSettings>, Problem> {
    let (tenant, actor) = (granted.tenant(), granted.actor());
    let limits = app
        .engine
        .set_plugin_limits(tenant, &actor, limited(&name)?, Some(&settings))
        .await?;
    Ok(Json(limits.settings()))
}
