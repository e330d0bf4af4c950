//! `GET /v1/users/stream`: rows as they are read.

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use exeat_directory::filter::Filter;
use exeat_encode::{Compression, Format};
use exeat_engine::ExportRequest;
use serde_json::Value;

use crate::App;
use crate::auth::{Granted, ReadUsers};
use crate::problem::Problem;

/// Streams users as NDJSON. Query: `filter=KEY=VALUE` or `filter=EXPRESSION` (any number), `fields=a,b`, `anonymize=true`.
pub(crate) async fn stream(
    State(app): State<App>,
    granted: Granted<ReadUsers>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let request = parse(query.as_deref().unwrap_or_default())?;
    let stream = app
        .engine
        .stream(granted.tenant(), &granted.actor(), &request)
        .await?;
    let headers = [
        (header::CONTENT_TYPE.as_str(), stream.media_type.to_owned()),
        (header::CACHE_CONTROL.as_str(), "private, no-store".to_owned()),
    ];
    Ok((headers, Body::from_stream(stream.into_chunks())).into_response())
}

fn parse(query: &str) -> Result<ExportRequest, Problem> {
    let pairs: Vec<(String, String)> = axum::extract::Query::try_from_uri(&uri(query)?)
        .map_err(|error| wrong(error.to_string()))?
        .0;
    let mut request = ExportRequest {
        format: Some(Format::Ndjson),
        compression: Compression::None,
        ..ExportRequest::default()
    };
    for (key, value) in pairs {
        match key.as_str() {
            "filter" => {
                let (key, value) = Filter::split(&value);
                if request
                    .filter
                    .insert(key.to_owned(), Value::from(value))
                    .is_some()
                {
                    return Err(wrong(format!("the filter \"{key}\" is given twice")));
                }
            }
            "fields" => request.fields = Some(value.split(',').map(|name| name.trim().to_owned()).collect()),
            "anonymize" => {
                request.anonymize = value
                    .parse()
                    .map_err(|_| wrong("anonymize is true or false".to_owned()))?;
            }
            _ => {
                return Err(wrong(format!(
                    "there is no parameter \"{key}\"; there are filter, fields and anonymize"
                )));
            }
        }
    }
    Ok(request)
}

fn uri(query: &str) -> Result<axum::http::Uri, Problem> {
    format!("/?{query}")
        .parse()
        .map_err(|_| wrong("the query cannot be read".to_owned()))
}

fn wrong(detail: String) -> Problem {
    Problem::new("invalid-query", detail)
}
