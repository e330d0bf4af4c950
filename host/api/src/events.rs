//! `GET /v1/exports/{id}/events`: an export's progress, pushed (server-sent events).

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use aide::axum::ApiRouter;
use aide::axum::routing::get_with;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use exeat_directory::jobs::{Job, JobState};
use futures::{Stream, StreamExt as _};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::App;
use crate::auth::{Granted, ReadExports};
use crate::exports::{ExportId, ExportView, find};
use crate::input::At;
use crate::openapi::Describe as _;
use crate::problem::Problem;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// How often the export is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often, in looks, whoever listens is asked again whether they may.
const ASK_EVERY: u32 = 10;

/// Listeners of one server, at most.
pub(crate) const MAX_LISTENERS: usize = 200;

/// How long silence lasts at most: proxies hang up on connections that say nothing.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How long one connection lasts; whoever still listens comes back.
const LIFETIME: Duration = Duration::from_secs(3_600);

pub(crate) fn routes() -> ApiRouter<App> {
    ApiRouter::new().api_route(
        "/v1/exports/{id}/events",
        get_with(events, |op| {
            let summary = "Hear of an export's progress, from where Last-Event-ID says";
            op.named("watchExport", "exports", summary)
                .refuses(&["too-many-listeners"])
                .answers_bytes(
                    200,
                    "Events `progress`, then `completed`, `failed` or `cancelled`: \
                    each holds the export as `GET /v1/exports/{id}` shows it.",
                    &["text/event-stream"],
                )
                .answers_bytes(204, "Last-Event-ID names the last event there is.", &[])
        }),
    )
}

/// Where an export stands: two that are the same are one event.
fn event_id(job: &Job) -> String {
    format!("{}.{}.{}", job.attempt, job.rows_done, job.state.name())
}

fn has_ended(job: &Job) -> bool {
    !matches!(job.state, JobState::Queued | JobState::Running)
}

async fn events(
    State(app): State<App>,
    granted: Granted<ReadExports>,
    At(ExportId { id }): At<ExportId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let job = find(&app, granted.tenant(), &id).await?;
    let last = headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok());
    if has_ended(&job) && last == Some(&event_id(&job)) {
        // What tells a listener not to come back.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let Ok(place) = Arc::clone(&app.listeners).try_acquire_owned() else {
        let detail = format!("{MAX_LISTENERS} listen already, which is the most at once");
        return Err(Problem::new("too-many-listeners", detail));
    };
    let closing = app.engine.closing().clone();
    let watch = Watch {
        app,
        granted,
        job,
        said: last.map(str::to_owned),
        looks: 0,
        until: Instant::now() + LIFETIME,
        _place: place,
    };
    let events = watch.events().take_until(closing.cancelled_owned());
    let events = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    Ok(events.into_response())
}

/// Somebody who watches an export.
struct Watch {
    app: App,
    granted: Granted<ReadExports>,
    /// As it was last seen.
    job: Job,
    /// The last event that they have.
    said: Option<String>,
    looks: u32,
    until: Instant,
    _place: OwnedSemaphorePermit,
}

impl Watch {
    fn events(self) -> impl Stream<Item = Result<Event, Infallible>> {
        futures::stream::unfold(Some(self), async |watch| {
            let mut watch = watch?;
            while watch.said.as_deref() == Some(&event_id(&watch.job)) {
                tokio::time::sleep(LOOK_EVERY).await;
                watch.look().await?;
            }
            watch.said = Some(event_id(&watch.job));
            let event = watch.event()?;
            let more = (!has_ended(&watch.job)).then_some(watch);
            Some((Ok(event), more))
        })
    }

    /// Looks again; nothing if whoever watches must not, or there is nothing to see any more.
    async fn look(&mut self) -> Option<()> {
        let directory = self.app.engine.directory();
        self.looks += 1;
        if Instant::now() > self.until {
            return None;
        }
        if self.looks.is_multiple_of(ASK_EVERY) && !self.granted.still_holds(directory).await {
            return None;
        }
        let job = directory.job(self.granted.tenant(), &self.job.job_id).await;
        self.job = job.ok().flatten()?;
        Some(())
    }

    fn event(&self) -> Option<Event> {
        let name = if has_ended(&self.job) {
            self.job.state.name()
        } else {
            "progress"
        };
        let event = Event::default().event(name).id(event_id(&self.job));
        event.json_data(ExportView::of(&self.job)).ok()
    }
}
