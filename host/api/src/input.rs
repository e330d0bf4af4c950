//! What a request holds, as arguments of its handler: parsed at the border, refused with a problem,
//! and part of the API's description.

use aide::OperationInput;
use aide::generate::GenContext;
use aide::openapi::Operation;
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use exeat_engine::JsonObject;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::openapi::{ParamLocation, add_parameters, may_refuse};
use crate::problem::Problem;

/// The body: a JSON object.
pub(crate) struct Body<T>(pub(crate) T);

/// The query.
pub(crate) struct Params<T>(pub(crate) T);

/// The variable parts of the path.
pub(crate) struct At<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let Json(JsonObject(body)) = Json::from_request(request, state)
            .await
            .map_err(|rejection| body_problem(&rejection))?;
        Ok(Self(body))
    }
}

fn body_problem(rejection: &JsonRejection) -> Problem {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new("too-large", "the body is larger than 1 MiB"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            Problem::new("unsupported-media-type", "the body is not said to be JSON")
                .hint("send the header: Content-Type: application/json")
        }
        _ => Problem::new("invalid-json", rejection.body_text()),
    }
}

impl<T: JsonSchema> OperationInput for Body<T> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        Json::<T>::operation_input(ctx, operation);
        let codes = ["invalid-json", "too-large", "unsupported-media-type"];
        may_refuse(ctx, operation, &codes);
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(query) = Query::from_request_parts(parts, state)
            .await
            .map_err(|rejection| Problem::new("invalid-query", rejection.body_text()))?;
        Ok(Self(query))
    }
}

impl<T: JsonSchema> OperationInput for Params<T> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        add_parameters::<T>(ctx, operation, ParamLocation::Query);
        may_refuse(ctx, operation, &["invalid-query"]);
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for At<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(path) = Path::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::new("not-found", "there is nothing of such a name"))?;
        Ok(Self(path))
    }
}

impl<T: JsonSchema> OperationInput for At<T> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        add_parameters::<T>(ctx, operation, ParamLocation::Path);
        may_refuse(ctx, operation, &["not-found"]);
    }
}

/// What makes a request that is repeated the same request, as its caller names it
/// (`Idempotency-Key`).
pub(crate) struct IdempotencyKey(pub(crate) Option<String>);

/// The header, as it is described.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "described, and read by hand")]
struct IdempotencyHeader {
    /// The same request under the same key makes one export, for a day: whoever heard no answer can
    /// ask again.
    #[schemars(
        rename = "idempotency-key",
        length(min = 1, max = 255),
        regex(pattern = "^[!-~]+$")
    )]
    idempotency_key: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let Some(key) = parts.headers.get("idempotency-key") else {
            return Ok(Self(None));
        };
        let plain = key.as_bytes().iter().all(u8::is_ascii_graphic) && (1..=255).contains(&key.len());
        match key.to_str() {
            Ok(key) if plain => Ok(Self(Some(key.to_owned()))),
            _ => {
                let detail = "an Idempotency-Key has 1 to 255 visible characters of ASCII";
                Err(Problem::new("invalid-query", detail))
            }
        }
    }
}

impl OperationInput for IdempotencyKey {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        add_parameters::<IdempotencyHeader>(ctx, operation, ParamLocation::Header);
        may_refuse(ctx, operation, &["invalid-query", "idempotency-key-used"]);
    }
}
