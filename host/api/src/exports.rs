//! Exports: request one, watch it, fetch its files.

use aide::axum::ApiRouter;
use aide::axum::routing::{get_with, post_with, put_with};
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, NoContent, Response};
use exeat_directory::jobs::{Job, JobState, JobsPage, Progress};
use exeat_directory::{Tenant, format_timestamp, now_us};
use exeat_engine::{ExportRequest, MAX_PREVIEW_ROWS, ProgressReport};
use exeat_vault::{ExportManifest, FileEntry, Loss, RowCounts};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::auth::{CreateExports, Granted, ManageExports, ReadExports};
use crate::input::{At, Body, IdempotencyKey, Params};
use crate::openapi::Describe as _;
use crate::output::{Made, With};
use crate::page::PageSize;
use crate::problem::Problem;
use crate::{App, page};

const DRY_RUN: PageSize = PageSize {
    usual: 10,
    most: MAX_PREVIEW_ROWS,
};

const PAGE: PageSize = PageSize { usual: 50, most: 200 };

/// What is refused of a request for users, before anything is read.
pub(crate) const REQUEST_PROBLEMS: [&str; 19] = [
    "busy",
    "conflict",
    "invalid-config",
    "invalid-fields",
    "invalid-filter",
    "invalid-limit",
    "missing-field",
    "missing-scope",
    "never-exported",
    "plugin-failed",
    "plugin-not-usable",
    "too-much-metadata",
    "unknown-field",
    "unknown-plugin",
    "wrong-plugin-kind",
    "wrong-source",
    "wrong-tenant",
    "invalid-duration",
    "invalid-query",
];

pub(crate) fn routes() -> ApiRouter<App> {
    ApiRouter::new()
        .api_route(
            "/v1/exports",
            post_with(create, |op| {
                let summary = "Request an export; it is checked to the end, then queued";
                op.named("createExport", "exports", summary)
                    .refuses(&REQUEST_PROBLEMS)
                    .refuses(&["too-many-exports"])
            })
            .get_with(list, |op| {
                op.named("listExports", "exports", "List exports, the newest first")
            }),
        )
        .api_route(
            "/v1/exports/{id}",
            get_with(get, |op| op.named("getExport", "exports", "Look at an export")).delete_with(
                delete,
                |op| {
                    let summary = "Delete an export that has ended, and its files; the audit trail stays";
                    op.named("deleteExport", "exports", summary)
                        .refuses(&["not-ended", "held"])
                },
            ),
        )
        .api_route(
            "/v1/exports/dry-run",
            post_with(dry_run, |op| {
                let summary = "Run the whole chain on a few users; nothing is kept";
                op.named("dryRunExport", "exports", summary)
                    .refuses(&REQUEST_PROBLEMS)
                    .refuses(&["too-many-streams", "too-large-preview"])
            }),
        )
        .api_route(
            "/v1/exports/{id}/manifest",
            get_with(manifest, |op| {
                let summary = "Read what a completed export says of itself, to verify it";
                op.named("getExportManifest", "exports", summary)
                    .response::<200, Json<ExportManifest>>()
                    .refuses(&["not-ready"])
            }),
        )
        .api_route(
            "/v1/exports/{id}/cancel",
            post_with(cancel, |op| {
                let summary = "Cancel an export; one that runs is cancelled within two seconds";
                op.named("cancelExport", "exports", summary)
                    .refuses(&["not-cancellable"])
            }),
        )
        .api_route(
            "/v1/exports/{id}/hold",
            put_with(hold, |op| {
                let summary = "Order that the files are kept, whatever their age";
                op.named("holdExport", "exports", summary)
                    .refuses(&["not-ready", "no-files"])
            })
            .delete_with(release, |op| {
                let summary = "Lift the order to keep the files";
                op.named("releaseExport", "exports", summary)
                    .refuses(&["not-ready", "no-files"])
            }),
        )
        .api_route(
            "/v1/exports/{id}/files",
            aide::axum::routing::delete_with(delete_files, |op| {
                let summary = "Remove the files before their time; the record stays";
                op.named("deleteExportFiles", "exports", summary)
                    .refuses(&["not-ready", "no-files", "held"])
            }),
        )
}

/// An export.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ExportView {
    /// `exp_` and a ULID.
    id: String,
    state: JobState,
    /// As it was asked for, with the very plugins that it was checked with.
    request: Value,
    /// Who asked for it.
    actor: String,
    created_at: String,
    started_at: Option<String>,
    finished_at: Option<String>,
    /// How often it was begun.
    attempt: i64,
    progress: ProgressView,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorView>,
    /// The files, with the path at which each is to be had, once the export is completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<Vec<FileView>>,
    /// What became of the rows, once the export is completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<RowCounts>,
    /// When the files go.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    /// When the files went.
    #[serde(skip_serializing_if = "Option::is_none")]
    purged_at: Option<String>,
    /// Whether somebody ordered that the files stay.
    held: bool,
}

/// How far an export has come.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ProgressView {
    pub(crate) rows_done: u64,
    /// Known once they were counted.
    rows_total: Option<u64>,
    /// 0 to 100.
    percentage: f64,
    /// Bytes that were written.
    bytes: u64,
    pub(crate) time_left_seconds: Option<u64>,
}

/// Why an export failed.
#[derive(Debug, Serialize, JsonSchema)]
struct ErrorView {
    code: String,
    detail: String,
}

/// A file of an export.
#[derive(Debug, Serialize, JsonSchema)]
struct FileView {
    #[serde(flatten)]
    entry: FileEntry,
    /// Path at which it is to be had.
    href: String,
}

/// What an export's record needs to know of its manifest.
#[derive(Deserialize)]
struct ManifestPart {
    rows: RowCounts,
    files: Vec<FileEntry>,
}

impl ExportView {
    pub(crate) fn of(job: &Job) -> Self {
        let manifest: Option<ManifestPart> = job
            .manifest
            .as_deref()
            .and_then(|json| serde_json::from_str(json).ok());
        let request: Value = serde_json::from_str(&job.request).unwrap_or_default();
        // A command's record keeps the request beside what it needs to clear up.
        let request = request.get("export").cloned().unwrap_or(request);
        Self {
            id: job.job_id.clone(),
            state: job.state,
            request,
            actor: job.actor.clone(),
            created_at: format_timestamp(job.created_at),
            started_at: job.started_at.map(format_timestamp),
            finished_at: job.finished_at.map(format_timestamp),
            attempt: job.attempt,
            progress: ProgressView::of(job),
            error: job.error_code.clone().map(|code| ErrorView {
                code,
                detail: job.error.clone().unwrap_or_default(),
            }),
            rows: manifest.as_ref().map(|manifest| manifest.rows),
            files: manifest
                .filter(|_| job.has_files())
                .map(|manifest| files(job, manifest.files)),
            expires_at: job.expires_at.map(format_timestamp),
            purged_at: job.purged_at.map(format_timestamp),
            held: job.held_by.is_some(),
        }
    }
}

impl ProgressView {
    /// For whom a tenth counts for nothing.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 100")]
    pub(crate) fn whole_percentage(&self) -> u64 {
        self.percentage as u64
    }

    pub(crate) fn of(job: &Job) -> Self {
        let unsigned = |value: i64| u64::try_from(value).unwrap_or_default();
        let counts = Progress {
            rows_total: job.rows_total.map(unsigned).unwrap_or_default(),
            rows_done: unsigned(job.rows_done),
            bytes: unsigned(job.bytes),
        };
        let running = job.state == JobState::Running;
        let elapsed = job.started_at.map_or(0, |at| unsigned(now_us() - at));
        let report = ProgressReport::new(counts, std::time::Duration::from_micros(elapsed));
        let percentage = if job.state == JobState::Completed {
            100.0
        } else {
            report.percentage
        };
        Self {
            rows_done: counts.rows_done,
            rows_total: job.rows_total.map(unsigned),
            percentage: (percentage * 10.0).round() / 10.0,
            bytes: counts.bytes,
            time_left_seconds: report.time_left.filter(|_| running).map(|left| left.as_secs()),
        }
    }
}

fn files(job: &Job, entries: Vec<FileEntry>) -> Vec<FileView> {
    let with_path = entries.into_iter().map(|entry| FileView {
        href: format!("/v1/exports/{}/files/{}", job.job_id, entry.name),
        entry,
    });
    with_path.collect()
}

/// An export, by its id.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct ExportId {
    pub(crate) id: String,
}

/// `POST /v1/exports`: checks the request to the end, then queues it.
pub(crate) async fn create(
    State(app): State<App>,
    granted: Granted<CreateExports>,
    key: IdempotencyKey,
    Body(request): Body<ExportRequest>,
) -> Result<Made<202, ExportView>, Problem> {
    request_export(&app, &granted, request, key).await
}

/// Checks a request to the end, then queues it, or finds the export that it made before.
pub(crate) async fn request_export(
    app: &App,
    granted: &Granted<CreateExports>,
    request: ExportRequest,
    IdempotencyKey(key): IdempotencyKey,
) -> Result<Made<202, ExportView>, Problem> {
    let queuing = app.engine.request(&granted.requester(), &request, key).await?;
    Ok(Made {
        location: format!("/v1/exports/{}", queuing.job.job_id),
        body: ExportView::of(&queuing.job),
        repeated: queuing.repeated,
    })
}

/// Query of a dry run.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DryRunQuery {
    /// Users that are tried: 10 if left out, 1,000 at most.
    #[schemars(range(min = 1, max = DRY_RUN.most))]
    rows: Option<u32>,
}

/// What an export of a few users would be.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DryRunExport {
    files: Vec<DryRunFile>,
    rows: RowCounts,
    /// What the destination cannot hold.
    losses: Vec<Loss>,
}

/// A file of a dry run.
#[derive(Debug, Serialize, JsonSchema)]
struct DryRunFile {
    name: String,
    media_type: String,
    text: String,
}

/// `POST /v1/exports/dry-run?rows=`: the whole chain on a few users, without a job.
pub(crate) async fn dry_run(
    State(app): State<App>,
    granted: Granted<CreateExports>,
    Params(query): Params<DryRunQuery>,
    Body(request): Body<ExportRequest>,
) -> Result<Json<DryRunExport>, Problem> {
    let rows = DRY_RUN.of(query.rows)?;
    let preview = app.engine.preview(&granted.requester(), &request, rows).await?;
    let files = preview.files.into_iter().map(|file| DryRunFile {
        name: file.name,
        media_type: file.media_type,
        text: String::from_utf8_lossy(&file.bytes).into_owned(),
    });
    Ok(Json(DryRunExport {
        files: files.collect(),
        rows: preview.rows,
        losses: preview.losses,
    }))
}

/// `DELETE /v1/exports/{id}`: nobody is shown it any more; the audit trail stays.
pub(crate) async fn delete(
    State(app): State<App>,
    granted: Granted<ManageExports>,
    At(ExportId { id }): At<ExportId>,
) -> Result<NoContent, Problem> {
    app.engine.delete(granted.tenant(), &granted.actor(), &id).await?;
    Ok(NoContent)
}

/// Query of the list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// Exports on a page: 50 if left out, 200 at most.
    #[schemars(range(min = 1, max = PAGE.most))]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Only those in this state.
    state: Option<JobState>,
}

/// A page of exports.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ExportsPage {
    exports: Vec<ExportView>,
    /// `cursor` of the next page, if there is one.
    next_cursor: Option<String>,
}

/// `GET /v1/exports?limit=&cursor=&state=`: the newest first.
pub(crate) async fn list(
    State(app): State<App>,
    granted: Granted<ReadExports>,
    Params(query): Params<ListQuery>,
) -> Result<Json<ExportsPage>, Problem> {
    let limit = PAGE.of(query.limit)?;
    let wanted = JobsPage {
        before: query.cursor,
        state: query.state,
        limit: page::asked(limit),
    };
    let mut jobs = app
        .engine
        .directory()
        .jobs_page(granted.tenant(), &wanted)
        .await?;
    let next_cursor = page::cut(&mut jobs, limit, |job| job.job_id.clone());
    Ok(Json(ExportsPage {
        exports: jobs.iter().map(ExportView::of).collect(),
        next_cursor,
    }))
}

/// `GET /v1/exports/{id}`.
pub(crate) async fn get(
    State(app): State<App>,
    granted: Granted<ReadExports>,
    At(ExportId { id }): At<ExportId>,
) -> Result<Json<ExportView>, Problem> {
    let job = find(&app, granted.tenant(), &id).await?;
    Ok(Json(ExportView::of(&job)))
}

pub(crate) async fn find(app: &App, tenant: &Tenant, id: &str) -> Result<Job, Problem> {
    let job = app.engine.directory().job(tenant, id).await?;
    job.ok_or_else(|| Problem::new("not-found", "there is no such export"))
}

async fn find_completed(app: &App, tenant: &Tenant, id: &str) -> Result<Job, Problem> {
    let job = find(app, tenant, id).await?;
    match job.state {
        JobState::Completed => Ok(job),
        state => Err(Problem::new(
            "not-ready",
            format!("the export is {}", state.name()),
        )),
    }
}

/// A completed export whose files were not removed.
pub(crate) async fn find_with_files(app: &App, tenant: &Tenant, id: &str) -> Result<Job, Problem> {
    let job = find_completed(app, tenant, id).await?;
    match job.purged_at {
        None => Ok(job),
        Some(at) => Err(Problem::new(
            "no-files",
            format!(
                "the files of this export were removed at {}",
                format_timestamp(at)
            ),
        )),
    }
}

/// `POST /v1/exports/{id}/cancel`: 202; one that runs is cancelled within two seconds.
pub(crate) async fn cancel(
    State(app): State<App>,
    granted: Granted<CreateExports>,
    At(ExportId { id }): At<ExportId>,
) -> Result<With<202, ExportView>, Problem> {
    let job = app.engine.cancel(granted.tenant(), &granted.actor(), &id).await?;
    Ok(With(ExportView::of(&job)))
}

/// `DELETE /v1/exports/{id}/files`: the files go before their time, the record stays.
pub(crate) async fn delete_files(
    State(app): State<App>,
    granted: Granted<ManageExports>,
    At(ExportId { id }): At<ExportId>,
) -> Result<Json<ExportView>, Problem> {
    let job = app
        .engine
        .delete_files(granted.tenant(), &granted.actor(), &id)
        .await?;
    Ok(Json(ExportView::of(&job)))
}

/// `PUT /v1/exports/{id}/hold`: the files are kept, whatever their age.
pub(crate) async fn hold(
    State(app): State<App>,
    granted: Granted<ManageExports>,
    At(ExportId { id }): At<ExportId>,
) -> Result<Json<ExportView>, Problem> {
    set_hold(&app, &granted, &id, true).await
}

/// `DELETE /v1/exports/{id}/hold`: they are kept for as long as others.
pub(crate) async fn release(
    State(app): State<App>,
    granted: Granted<ManageExports>,
    At(ExportId { id }): At<ExportId>,
) -> Result<Json<ExportView>, Problem> {
    set_hold(&app, &granted, &id, false).await
}

async fn set_hold(
    app: &App,
    granted: &Granted<ManageExports>,
    id: &str,
    hold: bool,
) -> Result<Json<ExportView>, Problem> {
    let job = app
        .engine
        .hold_files(granted.tenant(), &granted.actor(), id, hold)
        .await?;
    Ok(Json(ExportView::of(&job)))
}

/// `GET /v1/exports/{id}/manifest`.
pub(crate) async fn manifest(
    State(app): State<App>,
    granted: Granted<ReadExports>,
    At(ExportId { id }): At<ExportId>,
) -> Result<Response, Problem> {
    let job = find_completed(&app, granted.tenant(), &id).await?;
    let json = [(header::CONTENT_TYPE, "application/json")];
    Ok((json, job.manifest.unwrap_or_default()).into_response())
}
