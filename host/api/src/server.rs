//! Routes, limits and the server itself.

use std::sync::Arc;
use std::time::Duration;

use aide::axum::ApiRouter;
use aide::openapi::OpenApi;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::extract::Request;
use axum::middleware::{Next, from_fn, map_request};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::linger::linger;
use crate::problem::Problem;
use crate::{
    App, audit, auth0, downloads, events, exports, fields, openapi, plugins, presets, problem, request_id,
    stream, users, webhooks,
};

const MAX_BODY_BYTES: usize = 1 << 20;

/// Bytes of a request's line and headers, at most: twice as many are answered with 431 in any case,
/// since it is between two reads that they are counted.
const MAX_HEAD_BYTES: usize = 32 << 10;

/// Headers of a request, at most.
const MAX_HEADERS: usize = 100;

/// How long a request's line and headers may take, and how long a connection may be quiet.
const HEADER_PATIENCE: Duration = Duration::from_secs(30);

/// How long an answer may take. The longest are those to uploads.
const PATIENCE: Duration = Duration::from_secs(180);

/// Connections at once, at most: others wait until one ends.
const MAX_CONNECTIONS: usize = 4_096;

/// Rest after a connection that could not be accepted.
const AFTER_A_FAULT: Duration = Duration::from_millis(100);

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
        .layer(from_fn(in_time))
        .layer(from_fn(request_id::name))
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
        .merge(events::routes())
        .merge(users::routes())
        .merge(presets::routes())
        .merge(webhooks::routes())
        .merge(audit::routes())
        .merge(auth0::routes())
        .merge(problem::routes());
    openapi::finish(routes)
}

/// Answers within [`PATIENCE`], whatever a handler or a slow body does. What follows an answer's head
/// (a stream, a file) may take longer.
async fn in_time(request: Request, next: Next) -> Response {
    let answered = tokio::time::timeout(PATIENCE, next.run(request)).await;
    answered.unwrap_or_else(|_| {
        let detail = format!("there was no answer within {} seconds", PATIENCE.as_secs());
        Problem::new("too-slow", detail).into_response()
    })
}

/// Serves until `stop`; requests at hand are finished first.
pub async fn serve(app: App, listener: TcpListener, stop: CancellationToken) {
    let router = router(app);
    let graceful = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEADER_PATIENCE)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD_BYTES);
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepting = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            accepted = accepting => accepted,
            () = stop.cancelled() => break,
        };
        let connection = match accepted {
            Ok((connection, _)) => connection,
            // A connection that broke, or no more files for now: others may come.
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(AFTER_A_FAULT).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(router.clone());
        let serving = graceful.watch(http.serve_connection(TokioIo::new(connection), service));
        tokio::spawn(async move {
            let _place = place;
            if let Err(error) = serving.await {
                tracing::debug!(%error, "a connection ended badly");
            }
        });
    }
    drop(listener);
    graceful.shutdown().await;
}
