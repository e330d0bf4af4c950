//! Routes, limits and the server itself.

use aide::axum::ApiRouter;
use aide::openapi::OpenApi;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::map_request;
use axum::routing::get;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::linger::linger;
use crate::problem::Problem;
use crate::{App, audit, auth0, downloads, exports, fields, openapi, plugins, problem, stream};

const MAX_BODY_BYTES: usize = 1 << 20;

/// The server cannot go on.
#[derive(Debug, Error)]
#[error("the server stopped")]
pub struct ServeError(#[from] std::io::Error);

/// All routes.
pub fn router(app: App) -> Router {
    let (described, document) = described();
    described
        .merge(openapi::routes(&document))
        .route("/healthz", get(async || "ok\n"))
        .fallback(async || Problem::new("not-found", "there is no such resource"))
        .method_not_allowed_fallback(async || {
            Problem::new("method-not-allowed", "the resource has no such method")
        })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(map_request(linger))
        .with_state(app)
}

/// The API's description (OpenAPI 3.1), as `GET /openapi.json` answers it.
pub fn document() -> serde_json::Value {
    serde_json::to_value(described().1).unwrap_or_default()
}

fn described() -> (Router<App>, OpenApi) {
    openapi::begin();
    let routes = ApiRouter::new()
        .merge(exports::routes())
        .merge(downloads::routes())
        .merge(stream::routes())
        .merge(fields::routes())
        .merge(plugins::routes())
        .merge(audit::routes())
        .merge(auth0::routes())
        .merge(problem::routes());
    openapi::finish(routes)
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
