//! Files of exports: with a token, or by a signed link. Whole or in part (RFC 9110 §14), with the
//! digest of the whole (RFC 9530), audited.

use std::ops::{Bound, Range as Bytes};
use std::time::Duration;

use aide::OperationInput;
use aide::axum::ApiRouter;
use aide::axum::routing::{get_with, post_with};
use aide::generate::GenContext;
use aide::openapi::Operation;
use aide::transform::TransformOperation;
use axum::body::Body as Bytestream;
use axum::extract::{FromRequestParts, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use exeat_directory::audit::{AuditRecord, DOWNLOAD, DOWNLOAD_REFUSED, LINK_SIGNED};
use exeat_directory::jobs::Job;
use exeat_directory::{Tenant, format_timestamp};
use exeat_engine::links::{LINK_LIFETIME, LinkRefusal, LinkTerms, MAX_LINK_LIFETIME, SignedLink, sign_link};
use headers::{ETag, HeaderMapExt as _, IfMatch, IfNoneMatch, IfRange, Range};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::App;
use crate::auth::{Granted, ReadExports};
use crate::exports::find_with_files;
use crate::input::{At, Body};
use crate::openapi::{Describe as _, ParamLocation, add_parameters};
use crate::output::With;
use crate::problem::Problem;

const MEDIA_TYPES: [&str; 6] = [
    "text/csv",
    "application/x-ndjson",
    "application/json",
    "application/gzip",
    "application/zstd",
    "application/octet-stream",
];

pub(crate) fn routes() -> ApiRouter<App> {
    ApiRouter::new()
        .api_route(
            "/v1/exports/{id}/files/{name}",
            get_with(file, |op| {
                sends_a_file(op.named("downloadFile", "exports", "Download a file, or a part of it"))
                    .refuses(&["not-ready"])
            }),
        )
        .api_route(
            "/v1/exports/{id}/files/{name}/links",
            post_with(sign, |op| {
                let summary = "Sign a link by which a file can be downloaded without a token";
                op.named("signLink", "exports", summary).refuses(&[
                    "invalid-duration",
                    "not-ready",
                    "no-files",
                ])
            }),
        )
        .api_route(
            "/v1/downloads/{id}/{name}",
            get_with(by_link, |op| {
                sends_a_file(op.named("downloadByLink", "exports", "Download a file by a signed link"))
                    .refuses(&["link-invalid", "link-expired", "link-used", "link-not-allowed"])
                    .refuses(&["not-ready"])
            }),
        )
}

fn sends_a_file(op: TransformOperation<'_>) -> TransformOperation<'_> {
    op.answers_bytes(200, "The file.", &MEDIA_TYPES)
        .answers_bytes(206, "The part of the file that Range asks for.", &MEDIA_TYPES)
        .answers_bytes(304, "The file is the one that If-None-Match names.", &[])
        .refuses(&["no-files", "precondition-failed", "range-not-satisfiable"])
}

/// A file of an export, by its name.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct FileName {
    id: String,
    name: String,
}

/// `GET /v1/exports/{id}/files/{name}`.
pub(crate) async fn file(
    State(app): State<App>,
    granted: Granted<ReadExports>,
    method: Method,
    At(FileName { id, name }): At<FileName>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let found = File::find(&app, granted.tenant(), &id, &name).await?;
    let asked = Asked {
        actor: granted.actor(),
        link: None,
        name: None,
        method,
        headers,
    };
    found.send(&app, asked).await
}

/// `GET /v1/downloads/{id}/{name}`: by a signed link, without a token.
pub(crate) async fn by_link(
    State(app): State<App>,
    method: Method,
    At(FileName { id, name }): At<FileName>,
    LinkQuery(link): LinkQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let taking = method == Method::GET;
    let redeemed = link.redeem(app.engine.directory(), &id, &name, taking).await?;
    let bearer = match redeemed {
        Ok(bearer) => bearer,
        Err(refusal) => {
            refuse(&app, &link, &id, refusal).await?;
            return Err(link_problem(refusal));
        }
    };
    let found = File::find(&app, &bearer.tenant, &id, &name).await?;
    let asked = Asked {
        actor: bearer.actor(),
        link: Some(link.link),
        name: link.name,
        method,
        headers,
    };
    found.send(&app, asked).await
}

/// A signed link, from its query.
pub(crate) struct LinkQuery(SignedLink);

impl<S: Send + Sync> FromRequestParts<S> for LinkQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let link = Query::from_request_parts(parts, state).await;
        let Query(link) = link.map_err(|_| link_problem(LinkRefusal::Invalid))?;
        Ok(Self(link))
    }
}

impl OperationInput for LinkQuery {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        add_parameters::<SignedLink>(ctx, operation, ParamLocation::Query);
    }
}

fn link_problem(refusal: LinkRefusal) -> Problem {
    Problem::new(refusal.code(), refusal.to_string())
        .hint("make another: POST /v1/exports/{id}/files/{name}/links")
}

/// Records that a link was refused, where it names a token: only its tenant has a trail for it.
async fn refuse(app: &App, link: &SignedLink, id: &str, refusal: LinkRefusal) -> Result<(), Problem> {
    let directory = app.engine.directory();
    let Some((tenant, holder)) = link.holder(directory, refusal).await? else {
        return Ok(());
    };
    let job = directory.job(&tenant, id).await?;
    let record = AuditRecord {
        actor: format!("link of {holder}"),
        action: DOWNLOAD_REFUSED,
        // What a stranger wrote is not kept.
        job_id: job.map(|job| job.job_id),
        detail: json!({"code": refusal.code(), "expires_at": expiry(link)}),
    };
    Ok(directory.record(&tenant, &record).await?)
}

fn expiry(link: &SignedLink) -> String {
    format_timestamp(link.expires.saturating_mul(1_000_000))
}

/// Body of a request for a link.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LinkRequest {
    /// How long the link is good: 60 if left out, 3,600 at most.
    #[schemars(range(min = 1, max = MAX_LINK_LIFETIME.as_secs()))]
    expires_in_seconds: Option<u64>,
    /// Whether it is good for one download alone. Such a download cannot be resumed.
    single_use: bool,
}

/// A link that was made.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LinkView {
    pub(crate) url: String,
    expires_at: String,
    single_use: bool,
}

/// `POST /v1/exports/{id}/files/{name}/links`.
pub(crate) async fn sign(
    State(app): State<App>,
    granted: Granted<ReadExports>,
    At(FileName { id, name }): At<FileName>,
    headers: HeaderMap,
    Body(request): Body<LinkRequest>,
) -> Result<With<201, LinkView>, Problem> {
    let lifetime = request
        .expires_in_seconds
        .map_or(LINK_LIFETIME, Duration::from_secs);
    if lifetime.is_zero() || lifetime > MAX_LINK_LIFETIME {
        let detail = format!("a link is good for 1 to {} seconds", MAX_LINK_LIFETIME.as_secs());
        return Err(Problem::new("invalid-duration", detail).at("/expires_in_seconds"));
    }
    let terms = LinkTerms {
        lifetime,
        once: request.single_use,
        ..LinkTerms::default()
    };
    let found = File::find(&app, granted.tenant(), &id, &name).await?;
    let signed = found.link(&app, &granted, terms, &headers).await?;
    Ok(With(signed))
}

/// A file of a completed export that was not removed.
pub(crate) struct File {
    job: Job,
    name: String,
    /// As the manifest has it.
    entry: Value,
}

/// How a file is asked for.
struct Asked {
    actor: String,
    /// The link by which it is.
    link: Option<String>,
    /// What the caller calls it, if not as it is called.
    name: Option<String>,
    method: Method,
    headers: HeaderMap,
}

impl File {
    pub(crate) async fn find(app: &App, tenant: &Tenant, id: &str, name: &str) -> Result<Self, Problem> {
        let job = find_with_files(app, tenant, id).await?;
        let manifest: Value = job
            .manifest
            .as_deref()
            .and_then(|json| serde_json::from_str(json).ok())
            .unwrap_or_default();
        let mut files = manifest["files"]
            .as_array()
            .cloned()
            .unwrap_or_default()
            .into_iter();
        let entry = files
            .find(|file| file["name"] == name)
            .filter(|_| job.has_files())
            .ok_or_else(not_found)?;
        Ok(Self {
            job,
            name: name.to_owned(),
            entry,
        })
    }

    /// Signs a link to it, and records that.
    pub(crate) async fn link<S>(
        &self,
        app: &App,
        granted: &Granted<S>,
        terms: LinkTerms<'_>,
        headers: &HeaderMap,
    ) -> Result<LinkView, Problem> {
        let directory = app.engine.directory();
        let (id, name) = (&self.job.job_id, &self.name);
        let link = sign_link(directory, granted.bearer(), id, name, terms).await?;
        let query = serde_urlencoded::to_string(&link).unwrap_or_default();
        let record = AuditRecord {
            actor: granted.actor(),
            action: LINK_SIGNED,
            job_id: Some(id.clone()),
            detail: json!({
                "file": name, "link": link.link, "expires_at": expiry(&link), "single_use": link.once,
            }),
        };
        directory.record(granted.tenant(), &record).await?;
        Ok(LinkView {
            url: format!("{}/v1/downloads/{id}/{name}?{query}", app.base_url(headers)),
            expires_at: expiry(&link),
            single_use: link.once,
        })
    }

    /// Sends it, or the part of it that is asked for.
    async fn send(&self, app: &App, asked: Asked) -> Result<Response, Problem> {
        let sha256 = self.entry["sha256"].as_str().unwrap_or_default();
        let etag: ETag = format!("\"{sha256}\"").parse().map_err(|_| not_found())?;
        let headers = &asked.headers;
        if headers
            .typed_get::<IfMatch>()
            .is_some_and(|wanted| !wanted.precondition_passes(&etag))
        {
            return Err(Problem::new(
                "precondition-failed",
                "the file is another than If-Match names",
            ));
        }
        if headers
            .typed_get::<IfNoneMatch>()
            .is_some_and(|known| !known.precondition_passes(&etag))
        {
            let mut response = StatusCode::NOT_MODIFIED.into_response();
            response.headers_mut().typed_insert(etag);
            return Ok(response);
        }
        let file_bytes = self.entry["bytes"].as_u64().unwrap_or_default();
        let part = part(headers, &etag, file_bytes)?;
        let reader = app
            .engine
            .vault()
            .read(
                self.job.tenant.name(),
                &self.job.job_id,
                self.job.attempt,
                &self.name,
                part.clone(),
            )
            .await?
            .ok_or_else(not_found)?;
        // HEAD asks about the file and takes nothing away.
        if asked.method == Method::GET {
            let range = part.as_ref().map(|part| [part.start, part.end]);
            let record = AuditRecord {
                actor: asked.actor,
                action: DOWNLOAD,
                job_id: Some(self.job.job_id.clone()),
                detail: json!({
                    "file": self.name, "sha256": sha256, "bytes": reader.bytes, "range": range, "link": asked.link,
                }),
            };
            app.engine.directory().record(&self.job.tenant, &record).await?;
        }
        let mut response = Bytestream::from_stream(reader.stream).into_response();
        let headers = response.headers_mut();
        headers.typed_insert(etag);
        let mut insert = |name: header::HeaderName, value: String| {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        };
        insert(header::CONTENT_TYPE, self.media_type());
        insert(header::CONTENT_LENGTH, reader.bytes.to_string());
        insert(header::ACCEPT_RANGES, "bytes".to_owned());
        // The name is one of ours or was checked by the sandbox, or was signed by us: plain characters only.
        insert(
            header::CONTENT_DISPOSITION,
            format!(
                "attachment; filename=\"{}\"",
                asked.name.as_ref().unwrap_or(&self.name)
            ),
        );
        insert(header::CACHE_CONTROL, "private, no-store".to_owned());
        if let Ok(digest) = HEXLOWER_PERMISSIVE.decode(sha256.as_bytes()) {
            // Of the whole file, also where a part is sent.
            let digest = format!("sha-256=:{}:", BASE64.encode(&digest));
            insert(header::HeaderName::from_static("repr-digest"), digest);
        }
        if let Some(part) = part {
            let (first, last) = (part.start, part.end - 1);
            insert(
                header::CONTENT_RANGE,
                format!("bytes {first}-{last}/{file_bytes}"),
            );
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        Ok(response)
    }

    fn media_type(&self) -> String {
        match self.entry["compression"].as_str() {
            Some("gzip") => "application/gzip",
            Some("zstd") => "application/zstd",
            _ => self.entry["media_type"]
                .as_str()
                .unwrap_or("application/octet-stream"),
        }
        .to_owned()
    }
}

/// The part that is asked for; nothing for the whole. Several parts at once are answered with the
/// whole, as RFC 9110 §14.2 allows.
fn part(headers: &HeaderMap, etag: &ETag, file_bytes: u64) -> Result<Option<Bytes<u64>>, Problem> {
    let Some(range) = headers.typed_get::<Range>() else {
        return Ok(None);
    };
    // The reader has a part of another file.
    if headers
        .typed_get::<IfRange>()
        .is_some_and(|have| have.is_modified(Some(etag), None))
    {
        return Ok(None);
    }
    let mut parts = range
        .satisfiable_ranges(file_bytes)
        .map(|(from, to)| first(from)..end(to, file_bytes))
        .filter(|part| !part.is_empty());
    match (parts.next(), parts.next()) {
        (Some(part), None) => Ok(Some(part)),
        (Some(_), Some(_)) => Ok(None),
        (None, _) => Err(Problem::new(
            "range-not-satisfiable",
            format!("the file has {file_bytes} bytes"),
        )
        .header(header::CONTENT_RANGE, format!("bytes */{file_bytes}"))),
    }
}

fn first(bound: Bound<u64>) -> u64 {
    match bound {
        Bound::Included(first) => first,
        Bound::Excluded(before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    }
}

/// After the last one.
fn end(bound: Bound<u64>, file_bytes: u64) -> u64 {
    match bound {
        Bound::Included(last) => last.saturating_add(1).min(file_bytes),
        Bound::Excluded(end) => end.min(file_bytes),
        Bound::Unbounded => file_bytes,
    }
}

fn not_found() -> Problem {
    Problem::new("not-found", "the export has no such file")
}
