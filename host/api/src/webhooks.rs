//! Webhooks: who is told of the end of exports, and what became of what they were told.

use std::time::Duration;

use aide::axum::ApiRouter;
use aide::axum::routing::{get_with, post_with};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, NoContent, Response};
use exeat_directory::audit::{AuditRecord, WEBHOOK_CHANGED};
use exeat_directory::webhooks::{
    Delivery, MAX_WEBHOOKS, Webhook, WebhookEvent, WebhookSecret, WebhookWritten,
};
use exeat_engine::webhooks::shown_secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::App;
use crate::auth::{Granted, ManageExports, ReadExports};
use crate::input::{At, Body, Params};
use crate::names::check_name;
use crate::openapi::Describe as _;
use crate::output::With;
use crate::page::{self, PageSize};
use crate::problem::Problem;

const PAGE: PageSize = PageSize { usual: 50, most: 200 };

/// For how long messages are signed under the old secret, too, where nobody says.
const OVERLAP: Duration = Duration::from_secs(24 * 3_600);
/// And at most.
const MAX_OVERLAP: Duration = Duration::from_secs(7 * 24 * 3_600);

pub(crate) fn routes() -> ApiRouter<App> {
    ApiRouter::new()
        .api_route(
            "/v1/webhooks",
            get_with(list, |op| {
                op.named("listWebhooks", "webhooks", "List webhooks, by name")
            }),
        )
        .api_route(
            "/v1/webhooks/{name}",
            get_with(get, |op| op.named("getWebhook", "webhooks", "Look at a webhook"))
                .put_with(write, |op| {
                    let summary =
                        "Tell an address of the end of exports; the secret is shown once, when it is made";
                    op.named("writeWebhook", "webhooks", summary)
                        .response::<200, Json<WebhookView>>()
                        .response::<201, Json<WebhookView>>()
                        .refuses(&["invalid-name", "invalid-webhook-url", "too-many-webhooks"])
                })
                .delete_with(delete, |op| {
                    let summary = "Forget a webhook, and what was to be sent to it";
                    op.named("deleteWebhook", "webhooks", summary)
                }),
        )
        .api_route(
            "/v1/webhooks/{name}/secret",
            post_with(rotate, |op| {
                let summary = "Make another secret; for a while messages are signed under both";
                op.named("rotateWebhookSecret", "webhooks", summary)
                    .refuses(&["invalid-duration"])
            }),
        )
        .api_route(
            "/v1/webhooks/{name}/deliveries",
            get_with(deliveries, |op| {
                let summary = "List what was sent to a webhook, or is to be, the newest first";
                op.named("listDeliveries", "webhooks", summary)
            }),
        )
        .api_route(
            "/v1/webhooks/{name}/deliveries/{delivery}/redeliver",
            post_with(redeliver, |op| {
                op.named(
                    "redeliver",
                    "webhooks",
                    "Send a message again, whatever became of it",
                )
            }),
        )
}

/// A webhook, by its name.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct WebhookName {
    /// 1 to 64 letters, digits, hyphens and underscores.
    name: String,
}

/// Whom to tell of what.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebhookBody {
    /// Begins with https://, and leads to a public address.
    url: String,
    /// Left out: all.
    #[serde(default)]
    events: Option<Vec<WebhookEvent>>,
}

/// Who is told of what.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct WebhookView {
    name: String,
    url: String,
    events: Vec<WebhookEvent>,
    changed_at: String,
    /// `whsec_…`, under which messages are signed. Shown once.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl From<Webhook> for WebhookView {
    fn from(webhook: Webhook) -> Self {
        Self {
            name: webhook.name,
            url: webhook.url,
            events: webhook.events,
            changed_at: webhook.changed_at,
            secret: None,
        }
    }
}

impl WebhookView {
    fn with_secret(self, secret: &WebhookSecret) -> Self {
        Self {
            secret: Some(shown_secret(secret)),
            ..self
        }
    }
}

/// The webhooks of a tenant.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct WebhooksView {
    webhooks: Vec<WebhookView>,
}

async fn list(State(app): State<App>, granted: Granted<ReadExports>) -> Result<Json<WebhooksView>, Problem> {
    let webhooks = app.engine.directory().webhooks(granted.tenant()).await?;
    Ok(Json(WebhooksView {
        webhooks: webhooks.into_iter().map(WebhookView::from).collect(),
    }))
}

async fn find<S>(app: &App, granted: &Granted<S>, name: &str) -> Result<WebhookView, Problem> {
    let webhook = app.engine.directory().webhook(granted.tenant(), name).await?;
    webhook.map(WebhookView::from).ok_or_else(not_found)
}

fn not_found() -> Problem {
    Problem::new("not-found", "there is no such webhook")
}

async fn get(
    State(app): State<App>,
    granted: Granted<ReadExports>,
    At(WebhookName { name }): At<WebhookName>,
) -> Result<Json<WebhookView>, Problem> {
    Ok(Json(find(&app, &granted, &name).await?))
}

async fn write(
    State(app): State<App>,
    granted: Granted<ManageExports>,
    At(WebhookName { name }): At<WebhookName>,
    Body(body): Body<WebhookBody>,
) -> Result<Response, Problem> {
    check_name(&name)?;
    app.engine.settings().webhooks.check(&body.url)?;
    let events = body.events.unwrap_or_else(|| WebhookEvent::ALL.to_vec());
    let directory = app.engine.directory();
    let audited = changed(&granted, &name, "written");
    let written = directory
        .write_webhook(granted.tenant(), &name, &body.url, &events, &audited)
        .await?;
    if written == WebhookWritten::TooMany {
        let detail = format!("a tenant has at most {MAX_WEBHOOKS} webhooks");
        return Err(Problem::new("too-many-webhooks", detail));
    }
    let view = find(&app, &granted, &name).await?;
    Ok(match written {
        WebhookWritten::Made(secret) => With::<201, _>(view.with_secret(&secret)).into_response(),
        WebhookWritten::Changed | WebhookWritten::TooMany => Json(view).into_response(),
    })
}

async fn delete(
    State(app): State<App>,
    granted: Granted<ManageExports>,
    At(WebhookName { name }): At<WebhookName>,
) -> Result<NoContent, Problem> {
    let audited = changed(&granted, &name, "deleted");
    let directory = app.engine.directory();
    if !directory
        .delete_webhook(granted.tenant(), &name, &audited)
        .await?
    {
        return Err(not_found());
    }
    Ok(NoContent)
}

fn changed<S>(granted: &Granted<S>, name: &str, change: &str) -> AuditRecord {
    AuditRecord {
        actor: granted.actor(),
        action: WEBHOOK_CHANGED,
        job_id: None,
        detail: json!({"webhook": name, "change": change}),
    }
}

/// How a secret is changed.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RotateBody {
    /// For how long messages are signed under the old secret, too: a day if left out, a week at most,
    /// 0 where it is known to somebody.
    #[schemars(range(max = MAX_OVERLAP.as_secs()))]
    overlap_seconds: Option<u64>,
}

async fn rotate(
    State(app): State<App>,
    granted: Granted<ManageExports>,
    At(WebhookName { name }): At<WebhookName>,
    Body(body): Body<RotateBody>,
) -> Result<Json<WebhookView>, Problem> {
    let overlap = body.overlap_seconds.map_or(OVERLAP, Duration::from_secs);
    if overlap > MAX_OVERLAP {
        let detail = format!(
            "an old secret is used for {} seconds at most",
            MAX_OVERLAP.as_secs()
        );
        return Err(Problem::new("invalid-duration", detail).at("/overlap_seconds"));
    }
    let directory = app.engine.directory();
    let audited = changed(&granted, &name, "secret rotated");
    let secret = directory
        .rotate_webhook_secret(granted.tenant(), &name, overlap, &audited)
        .await?;
    let secret = secret.ok_or_else(not_found)?;
    Ok(Json(find(&app, &granted, &name).await?.with_secret(&secret)))
}

/// Query of the list of what was sent.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeliveriesQuery {
    /// Messages on a page: 50 if left out, 200 at most.
    #[schemars(range(min = 1, max = PAGE.most))]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page of messages.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DeliveriesPage {
    deliveries: Vec<Delivery>,
    /// `cursor` of the next page, if there is one.
    next_cursor: Option<String>,
}

async fn deliveries(
    State(app): State<App>,
    granted: Granted<ReadExports>,
    At(WebhookName { name }): At<WebhookName>,
    Params(query): Params<DeliveriesQuery>,
) -> Result<Json<DeliveriesPage>, Problem> {
    let limit = PAGE.of(query.limit)?;
    find(&app, &granted, &name).await?;
    let directory = app.engine.directory();
    let mut deliveries = directory
        .deliveries(
            granted.tenant(),
            &name,
            query.cursor.as_deref(),
            page::asked(limit),
        )
        .await?;
    let next_cursor = page::cut(&mut deliveries, limit, |delivery| delivery.id.clone());
    Ok(Json(DeliveriesPage {
        deliveries,
        next_cursor,
    }))
}

/// A message to a webhook.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct DeliveryId {
    name: String,
    delivery: String,
}

async fn redeliver(
    State(app): State<App>,
    granted: Granted<ManageExports>,
    At(DeliveryId { name, delivery }): At<DeliveryId>,
) -> Result<NoContent, Problem> {
    let directory = app.engine.directory();
    let audited = changed(&granted, &name, "message sent again");
    let again = directory
        .redeliver(granted.tenant(), &name, &delivery, &audited)
        .await?;
    if !again {
        return Err(Problem::new("not-found", "there is no such message"));
    }
    Ok(NoContent)
}
