//! `GET` and `POST /v1/users/stream`: rows as they are read.
//!
//! A stream is whole if it ends as HTTP says it does. To those who send `TE: trailers`, its trailers
//! say so, too: `exeat-complete: true` and `exeat-rows`.

use aide::axum::ApiRouter;
use aide::axum::routing::get_with;
use aide::transform::TransformOperation;
use axum::body::{Body as Bytestream, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use exeat_encode::Compression;
use exeat_engine::{ExportRequest, StreamPiece};
use futures::{StreamExt as _, TryStreamExt as _};
use http_body::Frame;
use http_body_util::StreamBody;

use crate::App;
use crate::auth::{Granted, ReadUsers};
use crate::exports::REQUEST_PROBLEMS;
use crate::input::Body;
use crate::negotiate;
use crate::openapi::Describe as _;
use crate::problem::Problem;
use crate::users_query::UsersQuery;

const COMPLETE: HeaderName = HeaderName::from_static("exeat-complete");
const ROWS: HeaderName = HeaderName::from_static("exeat-rows");

pub(crate) fn routes() -> ApiRouter<App> {
    let summary = "Stream users as they are read";
    ApiRouter::new().api_route(
        "/v1/users/stream",
        get_with(by_query, |op| {
            described(op.named("streamUsers", "users", summary))
        })
        .post_with(by_body, |op| {
            let summary = "Stream users, for whom a query is too short";
            described(op.named("streamUsersByBody", "users", summary))
        }),
    )
}

fn described(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.answers_bytes(200, "The users.", &["application/x-ndjson", "text/csv"])
        .refuses(&REQUEST_PROBLEMS)
        .refuses(&["not-acceptable", "too-many-streams"])
}

/// Streams users.
pub(crate) async fn by_query(
    State(app): State<App>,
    granted: Granted<ReadUsers>,
    headers: HeaderMap,
    UsersQuery(request): UsersQuery,
) -> Result<Response, Problem> {
    stream(&app, &granted, &headers, request).await
}

/// The same for whom a query is too short: the body of `POST /v1/exports`.
pub(crate) async fn by_body(
    State(app): State<App>,
    granted: Granted<ReadUsers>,
    headers: HeaderMap,
    Body(request): Body<ExportRequest>,
) -> Result<Response, Problem> {
    if request.compression != Compression::None {
        let detail = "a stream is compressed for whom its Accept-Encoding says so";
        return Err(Problem::new("conflict", detail).at("/compression"));
    }
    stream(&app, &granted, &headers, request).await
}

async fn stream(
    app: &App,
    granted: &Granted<ReadUsers>,
    headers: &HeaderMap,
    request: ExportRequest,
) -> Result<Response, Problem> {
    let format = match request.format {
        Some(format) => format,
        None => negotiate::format(headers)?,
    };
    let request = ExportRequest {
        format: Some(format),
        compression: negotiate::coding(headers),
        ..request
    };
    let stream = app.engine.stream(&granted.requester(), &request).await?;
    let (media_type, compression) = (stream.media_type, stream.compression);
    let frames = stream
        .into_pieces()
        .map(|piece| piece.map(frame))
        .map_err(axum::Error::new);
    let mut response = Bytestream::new(StreamBody::new(frames)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, no-store"),
    );
    headers.insert(header::VARY, HeaderValue::from_static("accept, accept-encoding"));
    headers.insert(
        header::TRAILER,
        HeaderValue::from_static("exeat-complete, exeat-rows"),
    );
    if compression != Compression::None {
        let coding = HeaderValue::from_static(compression.name());
        headers.insert(header::CONTENT_ENCODING, coding);
    }
    Ok(response)
}

fn frame(piece: StreamPiece) -> Frame<Bytes> {
    match piece {
        StreamPiece::Bytes(bytes) => Frame::data(bytes),
        StreamPiece::End { rows } => {
            let mut trailers = HeaderMap::new();
            trailers.insert(COMPLETE, HeaderValue::from_static("true"));
            trailers.insert(ROWS, HeaderValue::from(rows));
            Frame::trailers(trailers)
        }
    }
}
