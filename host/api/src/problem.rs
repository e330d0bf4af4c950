//! Problem details (RFC 9457): what was wrong, where, and what to do.

use axum::Json;
use axum::extract::Path;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use exeat_directory::DirectoryError;
use exeat_engine::{EngineError, ExportFailure, RequestError};
use serde::Serialize;

/// An answer that says no.
#[derive(Debug, Serialize)]
pub(crate) struct Problem {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    code: &'static str,
    detail: String,
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
    /// Beside the body.
    #[serde(skip)]
    header: Option<(HeaderName, String)>,
}

/// Every code with its status, its title and what it means.
const CODES: &[(&str, u16, &str, &str)] = &[
    (
        "unauthorized",
        401,
        "No valid token",
        "The request has no bearer token, or one that is unknown, expired or revoked. Send: Authorization: Bearer exeat_…",
    ),
    (
        "missing-scope",
        403,
        "The token lacks a scope",
        "The token is valid but was not given the scope that this operation needs. Make another with exeat token create.",
    ),
    (
        "not-found",
        404,
        "Nothing is here",
        "There is nothing of this name, or it belongs to another tenant.",
    ),
    (
        "method-not-allowed",
        405,
        "The resource has no such method",
        "The resource is there, but cannot be asked like this.",
    ),
    (
        "not-acceptable",
        406,
        "Users do not come in such a form",
        "Users are streamed as NDJSON or CSV. Send one of their media types as Accept, or leave it out.",
    ),
    (
        "too-many-streams",
        429,
        "Too many streams at once",
        "Each stream holds a snapshot open. Try again when another has ended, or request an export.",
    ),
    (
        "not-ready",
        409,
        "The export is not completed",
        "The files of an export can be fetched once its state is completed.",
    ),
    (
        "link-invalid",
        403,
        "The link is not good",
        "The link is not as it was signed, or the operator revoked the key under which it was. Make another.",
    ),
    (
        "link-expired",
        403,
        "The link has expired",
        "Links are good for 60 seconds unless whoever makes one says otherwise. Make another.",
    ),
    (
        "link-used",
        403,
        "The link was used",
        "The link was good for one download and had it. Make another, without single_use if the download is to be resumed.",
    ),
    (
        "link-not-allowed",
        403,
        "The link's token may not download",
        "A link speaks for the token in whose name it was made, and that was revoked, has expired, or lacks read:exports.",
    ),
    (
        "precondition-failed",
        412,
        "The file is another",
        "The request named the file that it wants by If-Match, and this is not it.",
    ),
    (
        "range-not-satisfiable",
        416,
        "The file has no such part",
        "The range lies beyond the end of the file; Content-Range says how long it is.",
    ),
    (
        "invalid-json",
        400,
        "The body is not what it should be",
        "The body is not JSON, or holds something that this operation does not know.",
    ),
    (
        "invalid-query",
        400,
        "The query is not what it should be",
        "The query string holds a parameter that this operation does not know, or a value that cannot be.",
    ),
    (
        "too-large",
        413,
        "The body is too large",
        "A request has at most 1 MiB, a component at most 32 MiB.",
    ),
    (
        "unsupported-media-type",
        415,
        "The body is not JSON",
        "Send: Content-Type: application/json",
    ),
    (
        "never-exported",
        422,
        "This never leaves",
        "Some fields are in no export, whoever asks: password hashes, MFA secrets, refresh and federated tokens, plaintext phone numbers. An export must be of no use to an attacker who gets hold of it.",
    ),
    (
        "unknown-field",
        422,
        "There is no such field",
        "GET /v1/fields lists what can leave.",
    ),
    (
        "invalid-fields",
        422,
        "The fields cannot be exported like this",
        "A field is named twice, or none is named.",
    ),
    (
        "invalid-filter",
        422,
        "The filter is wrong",
        "A condition has an unknown key or a value that cannot be; pointer and offset say where.",
    ),
    (
        "invalid-limit",
        422,
        "The limit cannot be",
        "A limit is a whole number of users, at least 1.",
    ),
    (
        "too-much-metadata",
        422,
        "There is too much metadata",
        "What is kept with an export has at most 32 KiB. Keep the rest yourself, under the export's id.",
    ),
    (
        "unknown-plugin",
        422,
        "There is no such plugin",
        "GET /v1/plugins lists what there is.",
    ),
    (
        "wrong-plugin-kind",
        422,
        "The plugin is of the other kind",
        "Transforms change rows, an adapter renders them; each is named in its own place.",
    ),
    (
        "invalid-config",
        422,
        "A plugin refuses its configuration",
        "The pointer says where; the plugin's schema (GET /v1/plugins) says what it takes.",
    ),
    (
        "missing-field",
        422,
        "A plugin lacks a field",
        "The plugin needs a field that the request leaves out.",
    ),
    (
        "plugin-not-usable",
        409,
        "The plugin cannot be used",
        "The version is still being admitted, was refused, was disabled, or is quarantined because it broke down. Its owner can enable it again.",
    ),
    (
        "plugin-refused",
        422,
        "The component is not admitted",
        "The reason is a code of its own: too-large, not-wasm, core-module, invalid-wasm, feature-not-allowed, import-not-allowed, no-world, wrong-version, too-much-memory, too-large-table, too-complex, compile-failed, compile-time, compile-broke-down, wrong-world, describe-failed, invalid-description, invalid-config-schema, not-reproducible, name-mismatch, smoke-run-failed, or host-fault (ours: upload it again). exeat plugin check says the same, offline.",
    ),
    (
        "version-exists",
        409,
        "The version exists with other bytes",
        "A version of a plugin never changes. Upload the component as another version.",
    ),
    (
        "too-many-versions",
        409,
        "The tenant has too many plugin versions",
        "Delete those that no export needs any more.",
    ),
    (
        "reserved-name",
        422,
        "The name is taken by a plugin that ships",
        "Choose another name.",
    ),
    (
        "too-many-uploads",
        429,
        "Too many uploads at once",
        "Components are looked at and compiled one after the other. Try again in a minute.",
    ),
    (
        "busy",
        503,
        "Too many plugins are at work",
        "The sandbox has no place free. Try again in a moment.",
    ),
    (
        "too-many-exports",
        429,
        "Too many exports of this tenant wait",
        "A tenant may have so many exports waiting. Try again when some of them are done, as Retry-After says.",
    ),
    (
        "not-cancellable",
        409,
        "The export has ended",
        "Only an export that waits or runs can be cancelled.",
    ),
    (
        "held",
        409,
        "The files are to be kept",
        "Somebody ordered that the files of this export are kept (PUT /v1/exports/{id}/hold). DELETE lifts the order.",
    ),
    (
        "no-files",
        410,
        "The export has no files any more",
        "Files are kept for seven days, unless the request or the operator says less. The record of the export stays.",
    ),
    (
        "wrong-source",
        422,
        "Users are read from somewhere else",
        "The request names a source of users (exeat, or a platform's definition), and it is not the one from which they are read here.",
    ),
    (
        "wrong-tenant",
        422,
        "The source holds another tenant's users",
        "The platform's database from which users are read holds those of one tenant, and its definition says of which.",
    ),
    (
        "invalid-duration",
        422,
        "The time is too long or too short",
        "It is a number of seconds, up to what the operator allows.",
    ),
    (
        "unavailable",
        503,
        "The server cannot reach its database or its store",
        "Nothing was done. Try again in a moment, as Retry-After says.",
    ),
    (
        "plugin-in-use",
        409,
        "An export uses the plugin",
        "A version can be deleted when no export that is queued or running uses it.",
    ),
    (
        "plugin-failed",
        422,
        "The plugin failed",
        "It was stopped, broke the contract or said no while it was opened or tried; the detail says how. A version that breaks down too often is quarantined.",
    ),
    (
        "invalid-rows",
        422,
        "The sample rows are wrong",
        "A row is a JSON object of fields that can leave (GET /v1/fields), each with a value of its type.",
    ),
    (
        "limit-above-ceiling",
        422,
        "A limit cannot be set like this",
        "A limit is more than 0 and at most the operator's ceiling.",
    ),
    (
        "conflict",
        422,
        "Parts of the request contradict each other",
        "The detail says which.",
    ),
];

/// When it makes sense to try again what there is no room for now.
const RETRY_AFTER_SECONDS: &str = "5";

/// What is not the caller's fault is not explained to the caller.
const INTERNAL: (&str, u16, &str, &str) = (
    "internal",
    500,
    "The server failed",
    "The server's log says more. Nothing was exported.",
);

fn known(code: &str) -> &'static (&'static str, u16, &'static str, &'static str) {
    CODES.iter().find(|known| known.0 == code).unwrap_or(&INTERNAL)
}

impl Problem {
    pub(crate) fn new(code: &'static str, detail: impl Into<String>) -> Self {
        let (code, status, title, _) = known(code);
        Self {
            kind: format!("/problems/{code}"),
            title,
            status: *status,
            code,
            detail: detail.into(),
            hint: None,
            reason: None,
            pointer: None,
            offset: None,
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
        self.header = Some((name, value));
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

    fn internal(error: &dyn std::error::Error) -> Self {
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
        if let Some((name, value)) = header
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

/// `GET /problems/{code}`: the page to which a problem's `type` leads.
pub(crate) async fn explain(Path(code): Path<String>) -> Result<String, Problem> {
    let (known, status, title, meaning) = known(&code);
    if *known != code {
        return Err(Problem::new("not-found", "there is no problem of this code"));
    }
    Ok(format!("{known} ({status})\n\n{title}.\n\n{meaning}\n"))
}
