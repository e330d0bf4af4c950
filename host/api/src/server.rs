//! Routes, limits and the server itself.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::map_request;
use axum::routing::{delete, get, post, put};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::linger::linger;
use crate::problem::Problem;
use crate::{App, audit, auth0, downloads, exports, fields, plugins, problem, stream};

const MAX_BODY_BYTES: usize = 1 << 20;

/// The server cannot go on.
#[derive(Debug, Error)]
#[error("the server stopped")]
pub struct ServeError(#[from] std::io::Error);

/// All routes.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/problems/{code}", get(problem::explain))
        .route("/v1/exports", post(exports::create).get(exports::list))
        .route("/v1/exports/{id}", get(exports::get))
        .route("/v1/exports/{id}/manifest", get(exports::manifest))
        .route("/v1/exports/{id}/cancel", post(exports::cancel))
        .route(
            "/v1/exports/{id}/hold",
            put(exports::hold).delete(exports::release),
        )
        .route("/v1/exports/{id}/files", delete(exports::delete_files))
        .route("/v1/exports/{id}/files/{name}", get(downloads::file))
        .route("/v1/exports/{id}/files/{name}/links", post(downloads::sign))
        .route("/v1/downloads/{id}/{name}", get(downloads::by_link))
        .route("/v1/users/stream", get(stream::by_query).post(stream::by_body))
        .route("/v1/audit", get(audit::list))
        .route("/v1/fields", get(fields::fields))
        .route(
            "/v1/plugins",
            get(plugins::list)
                .post(plugins::upload)
                // The handler itself bounds the body, once there is room for it.
                .layer(DefaultBodyLimit::disable()),
        )
        .route("/v1/plugins/{name}", get(plugins::versions))
        .route(
            "/v1/plugins/{name}/{version}",
            get(plugins::get).delete(plugins::delete),
        )
        .route("/v1/plugins/{name}/{version}/enable", post(plugins::enable))
        .route("/v1/plugins/{name}/{version}/disable", post(plugins::disable))
        .route("/v1/plugins/{name}/{version}/dry-run", post(plugins::dry_run))
        .route("/v1/plugins/{name}/{version}/logs", get(plugins::logs))
        .route("/v1/plugins/{name}/{version}/metrics", get(plugins::metrics))
        .route(
            "/v1/plugin-limits/{name}",
            get(plugins::limits).put(plugins::set_limits),
        )
        .route("/api/v2/jobs/users-exports", post(auth0::create))
        .route("/api/v2/jobs/{id}", get(auth0::get))
        .route("/api/v2/jobs/{id}/errors", get(auth0::errors))
        .fallback(async || Problem::new("not-found", "there is no such resource"))
        .method_not_allowed_fallback(async || {
            Problem::new("method-not-allowed", "the resource has no such method")
        })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(map_request(linger))
        .with_state(app)
}

/// Serves until `stop`; requests at hand are finished first.
///
/// # Errors
/// The listener failed.
pub async fn serve(app: App, listener: TcpListener, stop: CancellationToken) -> Result<(), ServeError> {
    let stopped = async move { stop.cancelled().await };
    Ok(axum::serve(listener, router(app))
        .with_graceful_shutdown(stopped)
        .await?)
}
