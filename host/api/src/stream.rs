//! `GET` and `POST /v1/users/stream`: rows as they are read.
//!
//! A stream is whole if it ends as HTTP says it does. To those who send `TE: trailers`, its trailers
//! say so, too: `exeat-complete: true` and `exeat-rows`.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::JsonRejection;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use exeat_encode::Compression;
use exeat_engine::{ExportRequest, PluginRequest, StreamPiece};
use futures::{StreamExt as _, TryStreamExt as _};
use http_body::Frame;
use http_body_util::StreamBody;
use serde_json::Value;

use crate::App;
use crate::auth::{Granted, ReadUsers};
use crate::exports::body_problem;
use crate::negotiate;
use crate::problem::Problem;

const COMPLETE: HeaderName = HeaderName::from_static("exeat-complete");
const ROWS: HeaderName = HeaderName::from_static("exeat-rows");

/// Streams users. Query: `filter=KEY=VALUE` or `filter=EXPRESSION` (any number), `fields=a,b`,
/// `anonymize=true`, `after=USER_ID`, `transform=PLUGIN` (any number, in order).
pub(crate) async fn by_query(
    State(app): State<App>,
    granted: Granted<ReadUsers>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let request = parse(query.as_deref().unwrap_or_default())?;
    stream(&app, &granted, &headers, request).await
}

/// The same for whom a query is too short: the body of `POST /v1/exports`.
pub(crate) async fn by_body(
    State(app): State<App>,
    granted: Granted<ReadUsers>,
    headers: HeaderMap,
    body: Result<Json<ExportRequest>, JsonRejection>,
) -> Result<Response, Problem> {
    let Json(request) = body.map_err(body_problem)?;
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
    let stream = app
        .engine
        .stream(granted.tenant(), &granted.actor(), &request)
        .await?;
    let (media_type, compression) = (stream.media_type, stream.compression);
    let frames = stream
        .into_pieces()
        .map(|piece| piece.map(frame))
        .map_err(axum::Error::new);
    let mut response = Body::new(StreamBody::new(frames)).into_response();
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

fn parse(query: &str) -> Result<ExportRequest, Problem> {
    let pairs: Vec<(String, String)> =
        serde_urlencoded::from_str(query).map_err(|error| wrong(error.to_string()))?;
    let mut request = ExportRequest::default();
    for (key, value) in pairs {
        match key.as_str() {
            "filter" => {
                request
                    .add_condition(&value)
                    .map_err(|key| wrong(format!("the filter \"{key}\" is given twice")))?;
            }
            "fields" => request.fields = Some(value.split(',').map(|name| name.trim().to_owned()).collect()),
            "anonymize" => {
                request.anonymize = value
                    .parse()
                    .map_err(|_| wrong("anonymize is true or false".to_owned()))?;
            }
            "after" => request.after = Some(value),
            "transform" => request.transforms.push(PluginRequest {
                plugin: value,
                digest: None,
                config: Value::Object(serde_json::Map::new()),
            }),
            _ => {
                return Err(wrong(format!(
                    "there is no parameter \"{key}\"; there are filter, fields, anonymize, after and transform"
                )));
            }
        }
    }
    Ok(request)
}

fn wrong(detail: String) -> Problem {
    Problem::new("invalid-query", detail)
}
