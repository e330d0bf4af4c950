//! Requests for exports that are kept under a name, and made again.

use aide::axum::ApiRouter;
use aide::axum::routing::{get_with, post_with};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, NoContent, Response};
use exeat_directory::audit::{AuditRecord, PRESET_CHANGED};
use exeat_directory::presets::{MAX_PRESETS, Preset, PresetWritten};
use exeat_engine::{ExportRequest, JsonObject};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::App;
use crate::auth::{CreateExports, Granted, ReadExports};
use crate::exports::{ExportView, REQUEST_PROBLEMS, request_export};
use crate::input::{At, Body, IdempotencyKey};
use crate::names::check_name;
use crate::openapi::Describe as _;
use crate::output::{Made, With};
use crate::problem::Problem;

/// Bytes of a preset, at most: many are shown at once.
const MAX_BYTES: usize = 16 << 10;

pub(crate) fn routes() -> ApiRouter<App> {
    ApiRouter::new()
        .api_route(
            "/v1/presets",
            get_with(list, |op| op.named("listPresets", "exports", "List presets, by name")),
        )
        .api_route(
            "/v1/presets/{name}",
            get_with(get, |op| op.named("getPreset", "exports", "Look at a preset"))
                .put_with(write, |op| {
                    let summary = "Keep a request under a name; it is checked as if it were made";
                    op.named("writePreset", "exports", summary)
                        .response::<200, Json<PresetView>>()
                        .response::<201, Json<PresetView>>()
                        .refuses(&REQUEST_PROBLEMS)
                        .refuses(&["invalid-name", "too-many-presets", "too-large-preset"])
                })
                .delete_with(delete, |op| op.named("deletePreset", "exports", "Forget a preset")),
        )
        .api_route(
            "/v1/presets/{name}/exports",
            post_with(export, |op| {
                let summary = "Request the export of a preset; members of the body replace the preset's, null removes one";
                op.named("exportPreset", "exports", summary)
                    .refuses(&REQUEST_PROBLEMS)
                    .refuses(&["too-many-exports", "idempotency-key-used"])
            }),
        )
}

/// A preset, by its name.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct PresetName {
    /// 1 to 64 letters, digits, hyphens and underscores.
    name: String,
}

/// A request that is kept.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PresetView {
    name: String,
    request: Map<String, Value>,
    changed_at: String,
}

impl From<Preset> for PresetView {
    fn from(preset: Preset) -> Self {
        Self {
            name: preset.name,
            request: serde_json::from_str(&preset.request).unwrap_or_default(),
            changed_at: preset.changed_at,
        }
    }
}

/// The presets of a tenant.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PresetsView {
    presets: Vec<PresetView>,
}

async fn list(State(app): State<App>, granted: Granted<ReadExports>) -> Result<Json<PresetsView>, Problem> {
    let presets = app.engine.directory().presets(granted.tenant()).await?;
    Ok(Json(PresetsView {
        presets: presets.into_iter().map(PresetView::from).collect(),
    }))
}

async fn find<S>(app: &App, granted: &Granted<S>, name: &str) -> Result<PresetView, Problem> {
    let preset = app.engine.directory().preset(granted.tenant(), name).await?;
    preset.map(PresetView::from).ok_or_else(not_found)
}

fn not_found() -> Problem {
    Problem::new("not-found", "there is no such preset")
}

async fn get(
    State(app): State<App>,
    granted: Granted<ReadExports>,
    At(PresetName { name }): At<PresetName>,
) -> Result<Json<PresetView>, Problem> {
    Ok(Json(find(&app, &granted, &name).await?))
}

async fn write(
    State(app): State<App>,
    granted: Granted<CreateExports>,
    At(PresetName { name }): At<PresetName>,
    Body(request): Body<ExportRequest>,
) -> Result<Response, Problem> {
    check_name(&name)?;
    app.engine.check(&granted.requester(), &request).await?;
    let json = serde_json::to_string(&request).map_err(|error| Problem::internal(&error))?;
    if json.len() > MAX_BYTES {
        let detail = format!("a preset has at most {MAX_BYTES} bytes");
        return Err(Problem::new("too-large-preset", detail));
    }
    let directory = app.engine.directory();
    let audited = changed(&granted, &name, "written");
    let written = directory
        .write_preset(granted.tenant(), &name, &json, &audited)
        .await?;
    if written == PresetWritten::TooMany {
        let detail = format!("a tenant has at most {MAX_PRESETS} presets");
        return Err(Problem::new("too-many-presets", detail));
    }
    let view = find(&app, &granted, &name).await?;
    Ok(match written {
        PresetWritten::Made => With::<201, _>(view).into_response(),
        PresetWritten::Changed | PresetWritten::TooMany => Json(view).into_response(),
    })
}

async fn delete(
    State(app): State<App>,
    granted: Granted<CreateExports>,
    At(PresetName { name }): At<PresetName>,
) -> Result<NoContent, Problem> {
    let audited = changed(&granted, &name, "deleted");
    let directory = app.engine.directory();
    if !directory.delete_preset(granted.tenant(), &name, &audited).await? {
        return Err(not_found());
    }
    Ok(NoContent)
}

fn changed<S>(granted: &Granted<S>, name: &str, change: &str) -> AuditRecord {
    AuditRecord {
        actor: granted.actor(),
        action: PRESET_CHANGED,
        job_id: None,
        detail: json!({"preset": name, "change": change}),
    }
}

/// `POST /v1/presets/{name}/exports`.
async fn export(
    State(app): State<App>,
    granted: Granted<CreateExports>,
    At(PresetName { name }): At<PresetName>,
    key: IdempotencyKey,
    Body(changes): Body<Map<String, Value>>,
) -> Result<Made<202, ExportView>, Problem> {
    let preset = find(&app, &granted, &name).await?;
    let JsonObject(request) = serde_json::from_value(merged(preset.request, changes))
        .map_err(|error| Problem::new("invalid-json", error.to_string()))?;
    request_export(&app, &granted, request, key).await
}

/// A request with changes: members replace members, null removes one (RFC 7396, of the first level:
/// what is configured is configured anew).
fn merged(mut request: Map<String, Value>, changes: Map<String, Value>) -> Value {
    for (key, value) in changes {
        if value.is_null() {
            request.remove(&key);
        } else {
            request.insert(key, value);
        }
    }
    Value::Object(request)
}
