//! A name for each request: in its answer, in its problem, in the log.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument as _;
use ulid::Ulid;

const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Longest name that a caller may give.
const MAX_BYTES: usize = 128;

tokio::task_local! {
    static REQUEST_ID: HeaderValue;
}

/// The name of the request at hand.
pub(crate) fn current() -> Option<String> {
    let id = REQUEST_ID.try_with(|id| id.to_str().map(str::to_owned).ok());
    id.ok().flatten()
}

/// Names a request as its caller did, or anew.
pub(crate) async fn name(request: Request, next: Next) -> Response {
    let given = request.headers().get(&HEADER).filter(|id| is_plain(id)).cloned();
    let id = given.unwrap_or_else(|| {
        HeaderValue::try_from(format!("req_{}", Ulid::new())).unwrap_or(HeaderValue::from_static("req_"))
    });
    let span = tracing::info_span!("request", id = id.to_str().unwrap_or_default());
    let mut response = REQUEST_ID
        .scope(id.clone(), next.run(request))
        .instrument(span)
        .await;
    response.headers_mut().insert(HEADER, id);
    response
}

/// A caller's name goes into logs: letters, digits and a few marks.
fn is_plain(id: &HeaderValue) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/=+".contains(byte);
    (1..=MAX_BYTES).contains(&id.len()) && id.as_bytes().iter().all(plain)
}
