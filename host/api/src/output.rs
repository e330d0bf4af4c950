//! Answers that say more than their body.

use aide::OperationOutput;
use aide::generate::GenContext;
use aide::openapi::{Operation, Response as Described, StatusCode as Status};
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use crate::openapi;

/// Something that was made (201), or will be (202): where it is, and how it looks now.
pub(crate) struct Made<const STATUS: u16, T> {
    pub(crate) location: String,
    pub(crate) body: T,
    /// Whether it was made before, by the same request.
    pub(crate) repeated: bool,
}

impl<const STATUS: u16, T: Serialize> IntoResponse for Made<STATUS, T> {
    fn into_response(self) -> Response {
        let mut response = With::<STATUS, T>(self.body).into_response();
        if let Ok(location) = HeaderValue::try_from(self.location) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        if self.repeated {
            let repeated = HeaderValue::from_static("true");
            response.headers_mut().insert("idempotent-replayed", repeated);
        }
        response
    }
}

impl<const STATUS: u16, T: JsonSchema> OperationOutput for Made<STATUS, T> {
    type Inner = T;

    fn operation_response(ctx: &mut GenContext, operation: &mut Operation) -> Option<Described> {
        let mut described = Json::<T>::operation_response(ctx, operation)?;
        openapi::add_header(ctx, &mut described, "location", "Where it is.");
        Some(described)
    }

    fn inferred_responses(
        ctx: &mut GenContext,
        operation: &mut Operation,
    ) -> Vec<(Option<Status>, Described)> {
        inferred::<Self>(ctx, operation, STATUS)
    }
}

/// A body under a status other than 200.
pub(crate) struct With<const STATUS: u16, T>(pub(crate) T);

impl<const STATUS: u16, T: Serialize> IntoResponse for With<STATUS, T> {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(STATUS).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(self.0)).into_response()
    }
}

impl<const STATUS: u16, T: JsonSchema> OperationOutput for With<STATUS, T> {
    type Inner = T;

    fn operation_response(ctx: &mut GenContext, operation: &mut Operation) -> Option<Described> {
        Json::<T>::operation_response(ctx, operation)
    }

    fn inferred_responses(
        ctx: &mut GenContext,
        operation: &mut Operation,
    ) -> Vec<(Option<Status>, Described)> {
        inferred::<Self>(ctx, operation, STATUS)
    }
}

fn inferred<T: OperationOutput>(
    ctx: &mut GenContext,
    operation: &mut Operation,
    status: u16,
) -> Vec<(Option<Status>, Described)> {
    let described = T::operation_response(ctx, operation);
    described
        .map(|described| (Some(Status::Code(status)), described))
        .into_iter()
        .collect()
}
