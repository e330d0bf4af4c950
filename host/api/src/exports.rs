//! Exports: request one, watch it, fetch its files.

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use exeat_directory::jobs::{Job, JobState, JobsPage, Progress};
use exeat_directory::{Tenant, format_timestamp, now_us};
use exeat_engine::{ExportRequest, ProgressReport};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::auth::{CreateExports, Granted, ManageExports, ReadExports};
use crate::problem::Problem;
use crate::{App, page};

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;

/// An export, as answers show it.
#[derive(Debug, Serialize)]
pub(crate) struct ExportView {
    id: String,
    state: &'static str,
    request: Value,
    actor: String,
    created_at: String,
    started_at: Option<String>,
    finished_at: Option<String>,
    attempt: i64,
    progress: ProgressView,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorView>,
    /// The files, with the path at which each is to be had, once the export is completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<Vec<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<Value>,
    /// When the files go, when they went, and whether somebody ordered that they stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purged_at: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    held: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct ProgressView {
    pub(crate) rows_done: u64,
    rows_total: Option<u64>,
    percentage: f64,
    bytes: u64,
    pub(crate) time_left_seconds: Option<u64>,
}

#[derive(Debug, Serialize)]
struct ErrorView {
    code: String,
    detail: String,
}

impl ExportView {
    fn of(job: &Job) -> Self {
        let manifest: Option<Value> = job
            .manifest
            .as_deref()
            .and_then(|json| serde_json::from_str(json).ok());
        let request: Value = serde_json::from_str(&job.request).unwrap_or_default();
        // A command's record keeps the request beside what it needs to clear up.
        let request = request.get("export").cloned().unwrap_or(request);
        Self {
            id: job.job_id.clone(),
            state: job.state.name(),
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
            files: manifest
                .as_ref()
                .filter(|_| job.has_files())
                .map(|manifest| files(job, manifest)),
            rows: manifest.and_then(|mut manifest| manifest.get_mut("rows").map(Value::take)),
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

fn files(job: &Job, manifest: &Value) -> Vec<Value> {
    let files = manifest
        .get("files")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let with_path = files.into_iter().map(|mut file| {
        let name = file.get("name").and_then(Value::as_str).unwrap_or_default();
        file["href"] = Value::from(format!("/v1/exports/{}/files/{name}", job.job_id));
        file
    });
    with_path.collect()
}

/// `POST /v1/exports`: checks the request to the end, then queues it.
pub(crate) async fn create(
    State(app): State<App>,
    granted: Granted<CreateExports>,
    body: Result<Json<ExportRequest>, JsonRejection>,
) -> Result<Response, Problem> {
    let Json(request) = body.map_err(body_problem)?;
    let actor = granted.actor();
    let spec = app.engine.check(granted.tenant(), &actor, &request).await?;
    let job = app
        .engine
        .queue(granted.tenant(), &actor, &request, &spec)
        .await?;
    let location = HeaderValue::try_from(format!("/v1/exports/{}", job.job_id));
    let mut response = (StatusCode::ACCEPTED, Json(ExportView::of(&job))).into_response();
    if let Ok(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

pub(crate) fn body_problem(rejection: JsonRejection) -> Problem {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new("too-large", "the body is larger than 1 MiB"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            Problem::new("unsupported-media-type", "the body is not said to be JSON")
                .hint("send the header: Content-Type: application/json")
        }
        _ => Problem::new("invalid-json", rejection.body_text()),
    }
}

/// Query of the list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Only those in this state.
    state: Option<String>,
}

/// `GET /v1/exports?limit=&cursor=&state=`: the newest first.
pub(crate) async fn list(
    State(app): State<App>,
    granted: Granted<ReadExports>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(query) = query.map_err(|rejection| Problem::new("invalid-query", rejection.body_text()))?;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let state = query.state.as_deref().map(|name| {
        JobState::find(name).ok_or_else(|| {
            let detail = format!("there is no state \"{name}\"");
            Problem::new("invalid-query", detail).hint("queued, running, completed, failed, cancelled")
        })
    });
    let wanted = JobsPage {
        before: query.cursor,
        state: state.transpose()?,
        limit: page::asked(limit),
    };
    let mut jobs = app
        .engine
        .directory()
        .jobs_page(granted.tenant(), &wanted)
        .await?;
    let next_cursor = page::cut(&mut jobs, limit, |job| job.job_id.clone());
    let views: Vec<ExportView> = jobs.iter().map(ExportView::of).collect();
    Ok(Json(
        serde_json::json!({"exports": views, "next_cursor": next_cursor}),
    ))
}

/// `GET /v1/exports/{id}`.
pub(crate) async fn get(
    State(app): State<App>,
    granted: Granted<ReadExports>,
    Path(id): Path<String>,
) -> Result<Json<ExportView>, Problem> {
    let job = find(&app, granted.tenant(), &id).await?;
    Ok(Json(ExportView::of(&job)))
}

async fn find(app: &App, tenant: &Tenant, id: &str) -> Result<Job, Problem> {
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
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let job = app.engine.cancel(granted.tenant(), &granted.actor(), &id).await?;
    Ok((StatusCode::ACCEPTED, Json(ExportView::of(&job))).into_response())
}

/// `DELETE /v1/exports/{id}/files`: the files go before their time, the record stays.
pub(crate) async fn delete_files(
    State(app): State<App>,
    granted: Granted<ManageExports>,
    Path(id): Path<String>,
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
    Path(id): Path<String>,
) -> Result<Json<ExportView>, Problem> {
    set_hold(&app, &granted, &id, true).await
}

/// `DELETE /v1/exports/{id}/hold`: they are kept for as long as others.
pub(crate) async fn release(
    State(app): State<App>,
    granted: Granted<ManageExports>,
    Path(id): Path<String>,
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
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let job = find_completed(&app, granted.tenant(), &id).await?;
    let json = [(header::CONTENT_TYPE, "application/json")];
    Ok((json, job.manifest.unwrap_or_default()).into_response())
}
