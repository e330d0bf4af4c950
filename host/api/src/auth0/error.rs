//! Errors as Auth0 answers them.

use aide::OperationOutput;
use aide::generate::GenContext;
use aide::openapi::{MediaType, Operation, ReferenceOr, Response as Described, StatusCode as Status};
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use exeat_directory::DirectoryError;
use exeat_engine::EngineError;
use schemars::JsonSchema;
use serde::Serialize;

use crate::openapi;
use crate::problem::Problem;

/// An answer that says no.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Auth0Error {
    status_code: u16,
    error: &'static str,
    message: String,
    error_code: &'static str,
}

impl Auth0Error {
    /// The body is not what it should be.
    pub(super) fn body(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_body", message)
    }

    pub(super) fn no_job() -> Self {
        Self::new(StatusCode::NOT_FOUND, "inexistent_job", "The job does not exist")
    }

    fn new(status: StatusCode, error_code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status_code: status.as_u16(),
            error: status.canonical_reason().unwrap_or_default(),
            message: message.into(),
            error_code,
        }
    }
}

impl From<Problem> for Auth0Error {
    fn from(problem: Problem) -> Self {
        let (status, code) = translated(problem.status());
        Self::new(status, code, problem.detail())
    }
}

/// Status and code of Auth0's where we would answer a problem of this status.
fn translated(status: StatusCode) -> (StatusCode, &'static str) {
    match status {
        StatusCode::UNAUTHORIZED => (status, "invalid_token"),
        StatusCode::FORBIDDEN => (status, "insufficient_scope"),
        StatusCode::NOT_FOUND => (status, "inexistent_job"),
        StatusCode::TOO_MANY_REQUESTS => (status, "too_many_requests"),
        // Auth0 knows no other way to refuse what is asked for.
        _ if status.is_client_error() => (StatusCode::BAD_REQUEST, "invalid_body"),
        _ => (status, "internal_error"),
    }
}

/// What the arguments of a handler would refuse with a problem, is refused as Auth0 does.
impl OperationOutput for Auth0Error {
    type Inner = Self;

    fn inferred_responses(
        ctx: &mut GenContext,
        operation: &mut Operation,
    ) -> Vec<(Option<Status>, Described)> {
        let codes = ["busy", "invalid-fields", "not-found", "too-many-exports"];
        openapi::may_refuse(ctx, operation, &codes);
        Problem::inferred_responses(ctx, operation);
        let schema = ctx.schema.subschema_for::<Self>();
        let responses = &mut operation.responses.get_or_insert_default().responses;
        let statuses: Vec<Status> = responses.keys().cloned().collect();
        responses.clear();
        for status in statuses {
            let Status::Code(code) = status else { continue };
            let Ok(status) = StatusCode::from_u16(code) else {
                continue;
            };
            let (status, code) = translated(status);
            let media_type = MediaType {
                schema: Some(openapi::of(schema.clone())),
                ..MediaType::default()
            };
            let described = Described {
                description: format!("`{code}`"),
                content: [("application/json".to_owned(), media_type)]
                    .into_iter()
                    .collect(),
                ..Described::default()
            };
            responses.insert(Status::Code(status.as_u16()), ReferenceOr::Item(described));
        }
        Vec::new()
    }
}

impl From<EngineError> for Auth0Error {
    fn from(error: EngineError) -> Self {
        Problem::from(error).into()
    }
}

impl From<DirectoryError> for Auth0Error {
    fn from(error: DirectoryError) -> Self {
        Problem::from(error).into()
    }
}

impl IntoResponse for Auth0Error {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status_code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(self)).into_response()
    }
}
