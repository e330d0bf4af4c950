//! Jobs as Auth0 shows them.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::NoContent;
use exeat_directory::jobs::{Job, JobState};
use exeat_directory::tokens::Scope;
use exeat_directory::{Tenant, format_timestamp};
use exeat_engine::ExportRequest;
use exeat_engine::links::LinkTerms;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Auth0Error;
use super::request::{ExportField, ExportFormat, UsersExport};
use super::{KEPT_CONNECTION, KEPT_REQUEST};
use crate::App;
use crate::auth::{Granted, ReadUsers};
use crate::downloads::File;
use crate::exports::ProgressView;
use crate::input::{At, Body};
use crate::problem::Problem;

/// Our ids of exports and Auth0's of jobs differ in what they begin with.
const OUR_PREFIX: &str = "exp_";
const PREFIX: &str = "job_";
const KIND: &str = "users_export";

/// A job, as answers show it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct JobView {
    status: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    id: String,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<String>,
    format: ExportFormat,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<Vec<ExportField>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    percentage_done: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time_left_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_details: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<Summary>,
}

/// Of imports, for which these were made; of an export, all rows were read and none changed.
#[derive(Debug, Serialize, JsonSchema)]
struct Summary {
    failed: u64,
    updated: u64,
    inserted: u64,
    total: u64,
}

impl JobView {
    /// Nothing if the export was not asked for here.
    fn of(job: &Job) -> Option<Self> {
        let request: ExportRequest = serde_json::from_str(&job.request).ok()?;
        let asked: UsersExport = serde_json::from_str(request.metadata.get(KEPT_REQUEST)?).ok()?;
        let status = match job.state {
            JobState::Queued => "pending",
            JobState::Running => "processing",
            JobState::Completed => "completed",
            JobState::Failed | JobState::Cancelled => "failed",
        };
        let progress = ProgressView::of(job);
        let completed = job.state == JobState::Completed;
        Some(Self {
            status,
            kind: KIND,
            id: job.job_id.replacen(OUR_PREFIX, PREFIX, 1),
            created_at: format_timestamp(job.created_at),
            connection_id: asked.connection_id,
            connection: request.metadata.get(KEPT_CONNECTION).cloned(),
            format: asked.format,
            limit: asked.limit,
            fields: asked.fields,
            location: None,
            percentage_done: Some(progress.whole_percentage()),
            time_left_seconds: progress.time_left_seconds,
            status_details: job.error.clone(),
            summary: completed.then_some(Summary {
                failed: 0,
                updated: 0,
                inserted: 0,
                total: progress.rows_done,
            }),
        })
    }
}

/// A job, by its id.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct JobId {
    id: String,
}

/// `POST /api/v2/jobs/users-exports`.
pub(crate) async fn create(
    State(app): State<App>,
    granted: Result<Granted<ReadUsers>, Problem>,
    body: Result<Body<UsersExport>, Problem>,
) -> Result<Json<JobView>, Auth0Error> {
    let granted = granted?;
    let Body(asked) = body?;
    let connection = match &asked.connection_id {
        None => None,
        Some(id) => {
            let found = app
                .engine
                .directory()
                .connection_name(granted.tenant(), id)
                .await?;
            Some(found.ok_or_else(|| Auth0Error::body("connection_id names no connection of this tenant"))?)
        }
    };
    let request = asked.request(connection.as_deref(), granted.may_have_sensitive())?;
    let request = app.engine.within_limits(request);
    let queuing = app.engine.request(&granted.requester(), &request, None).await?;
    let mut view = JobView::of(&queuing.job).ok_or_else(Auth0Error::no_job)?;
    // Not before it has begun.
    (view.percentage_done, view.time_left_seconds) = (None, None);
    Ok(Json(view))
}

/// `GET /api/v2/jobs/{id}`: a completed one with a fresh link to its file.
pub(crate) async fn get(
    State(app): State<App>,
    granted: Result<Granted<ReadUsers>, Problem>,
    At(JobId { id }): At<JobId>,
    headers: HeaderMap,
) -> Result<Json<JobView>, Auth0Error> {
    let granted = granted?;
    let (job, mut view) = find(&app, granted.tenant(), &id).await?;
    if job.state == JobState::Completed {
        let (file, extension) = match view.format {
            ExportFormat::Json => ("users.ndjson.gz", "json.gz"),
            ExportFormat::Csv => ("users.csv.gz", "csv.gz"),
        };
        let name = format!("{}.{extension}", granted.tenant().name());
        let terms = LinkTerms {
            name: Some(&name),
            scope: Scope::ReadUsers,
            ..LinkTerms::default()
        };
        let found = File::find(&app, granted.tenant(), &job.job_id, file).await?;
        let link = found.link(&app, &granted, terms, &headers).await?;
        view.location = Some(link.url);
    }
    Ok(Json(view))
}

/// `GET /api/v2/jobs/{id}/errors`: exports have no errors of single users.
pub(crate) async fn errors(
    State(app): State<App>,
    granted: Result<Granted<ReadUsers>, Problem>,
    At(JobId { id }): At<JobId>,
) -> Result<NoContent, Auth0Error> {
    let granted = granted?;
    find(&app, granted.tenant(), &id).await?;
    Ok(NoContent)
}

async fn find(app: &App, tenant: &Tenant, id: &str) -> Result<(Job, JobView), Auth0Error> {
    let ours = id.strip_prefix(PREFIX).ok_or_else(Auth0Error::no_job)?;
    let job = app
        .engine
        .directory()
        .job(tenant, &format!("{OUR_PREFIX}{ours}"))
        .await?
        // When its data is gone, so is the job.
        .filter(|job| job.purged_at.is_none())
        .ok_or_else(Auth0Error::no_job)?;
    let view = JobView::of(&job).ok_or_else(Auth0Error::no_job)?;
    Ok((job, view))
}
