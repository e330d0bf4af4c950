//! Problem details (RFC 9457): what was wrong, where, and what to do.

mod codes;

use aide::OperationOutput;
use aide::axum::ApiRouter;
use aide::axum::routing::get_with;
use aide::generate::GenContext;
use aide::openapi::{Operation, Response as Described, StatusCode as Status};
use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use exeat_directory::DirectoryError;
use exeat_engine::{EngineError, ExportFailure, RequestError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use codes::{Code, known};

use crate::input::At;
use crate::openapi::{Describe as _, may_refuse};
use crate::{App, request_id};

/// An answer that says no (RFC 9457).
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Problem {
    /// Where the code is explained.
    #[serde(rename = "type")]
    kind: String,
    /// What it is, in a few words.
    title: &'static str,
    /// Status of the answer.
    status: u16,
    /// What it is, for programs: it never changes.
    code: &'static str,
    /// What was wrong.
    detail: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// Why a component was refused: a code of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Where in the request: a JSON pointer, and a place in the text there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<usize>,
    /// The request, as the log and `X-Request-Id` name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    /// Beside the body.
    #[serde(skip)]
    header: Option<Box<(HeaderName, String)>>,
}

/// When it makes sense to try again what there is no room for now.
const RETRY_AFTER_SECONDS: &str = "5";

impl Problem {
    pub(crate) fn new(code: &'static str, detail: impl Into<String>) -> Self {
        let Code {
            name, status, title, ..
        } = known(code);
        Self {
            kind: format!("/problems/{name}"),
            title,
            status: *status,
            code: name,
            detail: detail.into(),
            hint: None,
            reason: None,
            pointer: None,
            offset: None,
            request_id: request_id::current(),
            header: None,
        }
    }

    /// Where in the request: a JSON pointer.
    pub(crate) fn at(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = Some(pointer.into());
        self
    }

    /// A header that belongs to the answer.
    pub(crate) fn header(mut self, name: HeaderName, value: String) -> Self {
        self.header = Some(Box::new((name, value)));
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    pub(crate) fn internal(error: &dyn std::error::Error) -> Self {
        let mut chain = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            chain.push_str(": ");
            chain.push_str(&cause.to_string());
            source = cause.source();
        }
        tracing::error!(error = chain, "a request failed");
        Self::new("internal", "the server could not do this")
    }
}

impl IntoResponse for Problem {
    fn into_response(mut self) -> Response {
        let header = self.header.take();
        let status = self.status();
        let mut response = (status, Json(self)).into_response();
        let problem = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, problem);
        if matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        ) {
            let soon = HeaderValue::from_static(RETRY_AFTER_SECONDS);
            response.headers_mut().insert(header::RETRY_AFTER, soon);
        }
        if let Some((name, value)) = header.map(|header| *header)
            && let Ok(value) = HeaderValue::try_from(value)
        {
            response.headers_mut().insert(name, value);
        }
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"exeat\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

impl OperationOutput for Problem {
    type Inner = Self;

    fn inferred_responses(
        ctx: &mut GenContext,
        operation: &mut Operation,
    ) -> Vec<(Option<Status>, Described)> {
        may_refuse(ctx, operation, &["internal", "unavailable", "too-slow"]);
        Vec::new()
    }
}

impl From<RequestError> for Problem {
    fn from(error: RequestError) -> Self {
        let RequestError {
            code,
            pointer,
            offset,
            detail,
            hint,
            reason,
        } = error;
        Self {
            hint,
            reason,
            pointer: Some(pointer),
            offset,
            ..Self::new(code, detail)
        }
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Request(error) => error.into(),
            EngineError::Export(ExportFailure::Plugin(failure)) => {
                Self::new("plugin-failed", exeat_gate::redact_text(&failure.to_string()))
            }
            EngineError::Export(failure)
                if failure.is_transient() && !matches!(failure, ExportFailure::Busy) =>
            {
                tracing::warn!(error = %exeat_gate::redact_text(&failure.to_string()), "a request failed for now");
                Self::new("unavailable", "the database or the store cannot be reached")
            }
            EngineError::Vault(error) => error.into(),
            EngineError::Export(ExportFailure::TimedOut) => {
                Self::new("too-slow", "there are too many users to do this while you wait")
                    .hint("request an export, or a stream")
            }
            EngineError::Export(busy @ ExportFailure::Busy) => Self::new("busy", busy.to_string()),
            EngineError::Directory(error) => error.into(),
            other => Self::internal(&other),
        }
    }
}

impl From<DirectoryError> for Problem {
    fn from(error: DirectoryError) -> Self {
        if error.is_transient() {
            tracing::warn!(%error, "the database cannot be reached");
            return Self::new("unavailable", "the database cannot be reached");
        }
        Self::internal(&error)
    }
}

impl From<exeat_vault::VaultError> for Problem {
    fn from(error: exeat_vault::VaultError) -> Self {
        match error {
            exeat_vault::VaultError::Name(_) => Self::new("not-found", "there is no such file"),
            passing if passing.is_transient() => {
                tracing::warn!(error = %passing, "the store cannot be reached");
                Self::new("unavailable", "the store cannot be reached")
            }
            other => Self::internal(&other),
        }
    }
}

pub(crate) fn routes() -> ApiRouter<App> {
    let summary = "Read what a problem's code means, and what to do";
    ApiRouter::new().api_route(
        "/problems/{code}",
        get_with(explain, |op| op.named("explainProblem", "problems", summary)),
    )
}

/// The code of a problem.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct CodeName {
    code: String,
}

/// `GET /problems/{code}`: the page to which a problem's `type` leads.
pub(crate) async fn explain(At(CodeName { code }): At<CodeName>) -> Result<String, Problem> {
    let found = codes::find(&code);
    let known = found.ok_or_else(|| Problem::new("not-found", "there is no problem of this code"))?;
    let Code {
        name,
        status,
        title,
        meaning,
    } = known;
    Ok(format!("{name} ({status})\n\n{title}.\n\n{meaning}\n"))
}
