//! The users-exports API of Auth0, so that a client that was written for it works when its base URL
//! is changed (`/api/v2`).
//!
//! An export is an export: what is asked for here becomes a request like any other, whose fields go
//! through the sandboxed `field-map`. The request as it came is kept with the export, to be shown
//! again.

mod error;
mod job;
mod request;

use aide::axum::ApiRouter;
use aide::axum::routing::{get_with, post_with};

use crate::App;
use crate::openapi::Describe as _;

pub(crate) fn routes() -> ApiRouter<App> {
    ApiRouter::new()
        .api_route(
            "/api/v2/jobs/users-exports",
            post_with(job::create, |op| {
                op.named("createUsersExport", "auth0", "Request an export of users")
            }),
        )
        .api_route(
            "/api/v2/jobs/{id}",
            get_with(job::get, |op| {
                let summary = "Watch an export; a completed one has a fresh link to its file";
                op.named("getJob", "auth0", summary)
            }),
        )
        .api_route(
            "/api/v2/jobs/{id}/errors",
            get_with(job::errors, |op| {
                let summary = "List the errors of single users, of which exports have none";
                op.named("getJobErrors", "auth0", summary)
            }),
        )
}

/// Under which key the request as it came is kept with the export.
const KEPT_REQUEST: &str = "auth0";
/// And the name of its connection.
const KEPT_CONNECTION: &str = "auth0.connection";
