//! Webhooks: who wants to hear of the end of exports, and what was sent to them.
//!
//! What is to be sent is recorded in the transaction in which the export ends. Whoever sends it takes
//! a lease on it; one that dies over it leaves it to the next. So it is sent at least once.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};
use ulid::Ulid;

use crate::audit::{self, AuditRecord};
use crate::database::text;
use crate::jobs::JobState;
use crate::{Directory, DirectoryError, Tenant, format_timestamp, now_us};

/// How many a tenant may have.
pub const MAX_WEBHOOKS: u32 = 20;
/// Bytes of a secret, within what the Standard Webhooks specification asks for: 24 to 64.
const SECRET_BYTES: usize = 32;
/// Messages of a tenant that may wait.
const MAX_WAITING: i64 = 10_000;
/// For how long deliveries that have ended are shown.
const LOG_US: i64 = 30 * 86_400 * 1_000_000;

/// What can be heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum WebhookEvent {
    /// An export was completed.
    #[serde(rename = "export.completed")]
    ExportCompleted,
    /// An export failed.
    #[serde(rename = "export.failed")]
    ExportFailed,
    /// An export was cancelled.
    #[serde(rename = "export.cancelled")]
    ExportCancelled,
}

impl WebhookEvent {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::ExportCompleted, Self::ExportFailed, Self::ExportCancelled];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::ExportCompleted => "export.completed",
            Self::ExportFailed => "export.failed",
            Self::ExportCancelled => "export.cancelled",
        }
    }

    fn of(state: JobState) -> Option<Self> {
        match state {
            JobState::Completed => Some(Self::ExportCompleted),
            JobState::Failed => Some(Self::ExportFailed),
            JobState::Cancelled => Some(Self::ExportCancelled),
            JobState::Queued | JobState::Running => None,
        }
    }
}

/// Who wants to hear of what.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Its name, unique in the tenant.
    pub name: String,
    /// Where it is sent to.
    pub url: String,
    /// What is sent.
    pub events: Vec<WebhookEvent>,
    /// When it was last changed, RFC 3339.
    pub changed_at: String,
}

/// A secret under which deliveries are signed.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret(pub Vec<u8>);

/// Shows no secret.
impl std::fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WebhookSecret")
    }
}

impl WebhookSecret {
    fn new() -> Result<Self, DirectoryError> {
        let mut secret = vec![0; SECRET_BYTES];
        getrandom::fill(&mut secret).map_err(|_| DirectoryError::Random)?;
        Ok(Self(secret))
    }
}

/// What came of writing a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookWritten {
    /// There was none of this name: its secret, which is shown this once.
    Made(WebhookSecret),
    /// It is another now, with the same secret.
    Changed,
    /// The tenant has [as many as it may](MAX_WEBHOOKS).
    TooMany,
}

/// How a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryState {
    /// To be sent, or to be sent again.
    Waiting,
    /// It was taken.
    Delivered,
    /// It was tried as often as anything is.
    GivenUp,
}

impl DeliveryState {
    fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::GivenUp => "given-up",
        }
    }

    fn parse(name: &str) -> Result<Self, DirectoryError> {
        [Self::Waiting, Self::Delivered, Self::GivenUp]
            .into_iter()
            .find(|state| state.name() == name)
            .ok_or(DirectoryError::Corrupt("webhook_deliveries.state"))
    }
}

/// One message to one webhook.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Delivery {
    /// `msg_` and a ULID: the same whenever it is sent again.
    pub id: String,
    /// What it tells of.
    pub event: String,
    /// The export.
    pub export: Option<String>,
    /// How it stands.
    pub state: DeliveryState,
    /// How often it was sent.
    pub attempts: i64,
    /// When it was recorded.
    pub created_at: String,
    /// When it is sent again.
    pub next_at: Option<String>,
    /// When it was taken or given up.
    pub ended_at: Option<String>,
    /// Status of the last answer.
    pub last_status: Option<i64>,
    /// Why there was no answer.
    pub last_error: Option<String>,
}

/// A message that could be sent now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// See [`Delivery::id`].
    pub delivery_id: String,
    /// Whose it is.
    pub tenant_id: i64,
}

/// A message that is to be sent now, by whoever took it.
#[derive(Clone, Debug)]
pub struct DueDelivery {
    /// See [`Delivery::id`].
    pub delivery_id: String,
    /// Where to.
    pub url: String,
    /// The body.
    pub payload: String,
    /// Under which it is signed, the newest first.
    pub secrets: Vec<WebhookSecret>,
    /// Which attempt it is, from 1.
    pub attempt: i64,
}

/// What came of sending a message.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Status of the answer, if there was one.
    pub status: Option<u16>,
    /// Why there was none.
    pub error: Option<String>,
    /// When it is to be sent again, if it was not taken and is not given up.
    pub again_after: Option<Duration>,
}

impl Directory {
    /// Sends these events to this address, in place of what was said under the name before.
    ///
    /// # Errors
    /// The database refused, or there is no randomness.
    pub async fn write_webhook(
        &self,
        tenant: &Tenant,
        name: &str,
        url: &str,
        events: &[WebhookEvent],
        audited: &AuditRecord,
    ) -> Result<WebhookWritten, DirectoryError> {
        let mut transaction = self.database.begin_for(tenant.id).await?;
        let names: Vec<String> = sqlx::query_scalar("SELECT name FROM webhooks WHERE tenant_id = $1")
            .bind(tenant.id)
            .fetch_all(&mut *transaction)
            .await?;
        let there = names.iter().any(|kept| kept == name);
        if !there && names.len() >= MAX_WEBHOOKS as usize {
            return Ok(WebhookWritten::TooMany);
        }
        let secret = WebhookSecret::new()?;
        let events: Vec<&str> = events.iter().map(|event| event.name()).collect();
        sqlx::query(
            "INSERT INTO webhooks (tenant_id, name, url, events, secret, changed_at) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (tenant_id, name) DO UPDATE
             SET url = excluded.url, events = excluded.events, changed_at = excluded.changed_at",
        )
        .bind(tenant.id)
        .bind(text(name))
        .bind(text(url))
        .bind(format!(" {} ", events.join(" ")))
        .bind(secret.0.as_slice())
        .bind(now_us())
        .execute(&mut *transaction)
        .await?;
        audit::insert(&mut transaction, tenant.id, audited).await?;
        transaction.commit().await?;
        Ok(if there {
            WebhookWritten::Changed
        } else {
            WebhookWritten::Made(secret)
        })
    }

    /// Makes another secret. For `overlap`, what is sent is signed under the one before, too.
    /// Nothing if there is no such webhook.
    ///
    /// # Errors
    /// The database refused, or there is no randomness.
    pub async fn rotate_webhook_secret(
        &self,
        tenant: &Tenant,
        name: &str,
        overlap: Duration,
        audited: &AuditRecord,
    ) -> Result<Option<WebhookSecret>, DirectoryError> {
        let secret = WebhookSecret::new()?;
        let mut transaction = self.database.begin().await?;
        let until = now_us() + i64::try_from(overlap.as_micros()).unwrap_or_default();
        let rotated = sqlx::query(
            "UPDATE webhooks SET previous_secret = secret, previous_until = $4, secret = $3, changed_at = $5
             WHERE tenant_id = $1 AND name = $2",
        )
        .bind(tenant.id)
        .bind(text(name))
        .bind(secret.0.as_slice())
        .bind(until)
        .bind(now_us())
        .execute(&mut *transaction)
        .await?;
        if rotated.rows_affected() == 0 {
            return Ok(None);
        }
        audit::insert(&mut transaction, tenant.id, audited).await?;
        transaction.commit().await?;
        Ok(Some(secret))
    }

    /// The webhooks of a tenant, by name.
    ///
    /// # Errors
    /// The database refused.
    pub async fn webhooks(&self, tenant: &Tenant) -> Result<Vec<Webhook>, DirectoryError> {
        let rows = sqlx::query(
            "SELECT name, url, events, changed_at FROM webhooks WHERE tenant_id = $1 ORDER BY name",
        )
        .bind(tenant.id)
        .fetch_all(&self.database.pool)
        .await?;
        rows.iter()
            .map(|row| {
                let events: String = row.try_get(2)?;
                let wanted = |event: &WebhookEvent| events.split(' ').any(|name| name == event.name());
                Ok(Webhook {
                    name: row.try_get(0)?,
                    url: row.try_get(1)?,
                    events: WebhookEvent::ALL.into_iter().filter(wanted).collect(),
                    changed_at: format_timestamp(row.try_get(3)?),
                })
            })
            .collect()
    }

    /// The webhook of this name.
    ///
    /// # Errors
    /// The database refused.
    pub async fn webhook(&self, tenant: &Tenant, name: &str) -> Result<Option<Webhook>, DirectoryError> {
        let mut webhooks = self.webhooks(tenant).await?.into_iter();
        Ok(webhooks.find(|webhook| webhook.name == name))
    }

    /// Forgets a webhook and what was, or was to be, sent to it; false if there is none.
    ///
    /// # Errors
    /// The database refused.
    pub async fn delete_webhook(
        &self,
        tenant: &Tenant,
        name: &str,
        audited: &AuditRecord,
    ) -> Result<bool, DirectoryError> {
        let mut transaction = self.database.begin_for(tenant.id).await?;
        sqlx::query("DELETE FROM webhook_deliveries WHERE tenant_id = $1 AND webhook = $2")
            .bind(tenant.id)
            .bind(text(name))
            .execute(&mut *transaction)
            .await?;
        let deleted = sqlx::query("DELETE FROM webhooks WHERE tenant_id = $1 AND name = $2")
            .bind(tenant.id)
            .bind(text(name))
            .execute(&mut *transaction)
            .await?;
        if deleted.rows_affected() == 0 {
            return Ok(false);
        }
        audit::insert(&mut transaction, tenant.id, audited).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// What was, or is to be, sent to a webhook, the newest first; only those before this one.
    ///
    /// # Errors
    /// The database refused.
    pub async fn deliveries(
        &self,
        tenant: &Tenant,
        webhook: &str,
        before: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Delivery>, DirectoryError> {
        let rows = sqlx::query(
            "SELECT delivery_id, event, job_id, state, attempts, created_at, next_at, ended_at, last_status, last_error
             FROM webhook_deliveries WHERE tenant_id = $1 AND webhook = $2 AND delivery_id < $3
             ORDER BY delivery_id DESC LIMIT $4",
        )
        .bind(tenant.id)
        .bind(text(webhook))
        // No id is greater than this.
        .bind(before.map_or_else(|| "\u{7f}".to_owned(), text))
        .bind(i64::from(limit))
        .fetch_all(&self.database.pool)
        .await?;
        rows.iter().map(delivery).collect()
    }

    /// Messages that are to be sent now: of each tenant the oldest few, so that nobody's many hold up
    /// everybody's few.
    ///
    /// # Errors
    /// The database refused.
    pub async fn due_deliveries(&self, of_each: u32, limit: u32) -> Result<Vec<Due>, DirectoryError> {
        let rows = sqlx::query(
            "SELECT delivery_id, tenant_id FROM (
                SELECT delivery_id, tenant_id, next_at,
                       row_number() OVER (PARTITION BY tenant_id ORDER BY next_at, delivery_id) AS place
                FROM webhook_deliveries WHERE state = 'waiting' AND next_at <= $1) due
             WHERE place <= $2 ORDER BY place, next_at LIMIT $3",
        )
        .bind(now_us())
        .bind(i64::from(of_each))
        .bind(i64::from(limit))
        .fetch_all(&self.database.pool)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Due {
                    delivery_id: row.try_get(0)?,
                    tenant_id: row.try_get(1)?,
                })
            })
            .collect()
    }

    /// Takes a message that is to be sent, for as long as `lease`: whoever takes longer may find
    /// that it was sent by somebody else, too. Nothing if somebody else has it.
    ///
    /// # Errors
    /// The database refused.
    pub async fn claim_delivery(
        &self,
        delivery_id: &str,
        lease: Duration,
    ) -> Result<Option<DueDelivery>, DirectoryError> {
        let now = now_us();
        let claimed = sqlx::query(
            "UPDATE webhook_deliveries SET attempts = attempts + 1, next_at = $3
             WHERE delivery_id = $1 AND state = 'waiting' AND next_at <= $2
             RETURNING tenant_id, webhook, payload, attempts",
        )
        .bind(delivery_id)
        .bind(now)
        .bind(now + i64::try_from(lease.as_micros()).unwrap_or_default())
        .fetch_optional(&self.database.pool)
        .await?;
        let Some(claimed) = claimed else { return Ok(None) };
        let webhook = sqlx::query(
            "SELECT url, secret, CASE WHEN previous_until > $3 THEN previous_secret END FROM webhooks
             WHERE tenant_id = $1 AND name = $2",
        )
        .bind(claimed.try_get::<i64, _>(0)?)
        .bind(claimed.try_get::<String, _>(1)?)
        .bind(now)
        .fetch_optional(&self.database.pool)
        .await?;
        let Some(webhook) = webhook else {
            // The webhook was deleted while the message was recorded.
            sqlx::query("DELETE FROM webhook_deliveries WHERE delivery_id = $1")
                .bind(delivery_id)
                .execute(&self.database.pool)
                .await?;
            return Ok(None);
        };
        let secrets = [Some(webhook.try_get(1)?), webhook.try_get(2)?];
        Ok(Some(DueDelivery {
            delivery_id: delivery_id.to_owned(),
            url: webhook.try_get(0)?,
            payload: claimed.try_get(2)?,
            secrets: secrets.into_iter().flatten().map(WebhookSecret).collect(),
            attempt: claimed.try_get(3)?,
        }))
    }

    /// Notes what came of sending a message, unless somebody has taken it over since.
    ///
    /// # Errors
    /// The database refused.
    pub async fn end_delivery(&self, due: &DueDelivery, sent: &Sent) -> Result<(), DirectoryError> {
        let taken = sent.status.is_some_and(|status| (200..300).contains(&status));
        let state = match sent.again_after {
            _ if taken => DeliveryState::Delivered,
            Some(_) => DeliveryState::Waiting,
            None => DeliveryState::GivenUp,
        };
        let now = now_us();
        let again = sent.again_after.unwrap_or_default().as_micros();
        sqlx::query(
            "UPDATE webhook_deliveries SET state = $2, last_status = $3, last_error = $4, next_at = $5,
                                           ended_at = CASE $2 WHEN 'waiting' THEN NULL ELSE $6 END
             WHERE delivery_id = $1 AND state = 'waiting' AND attempts = $7",
        )
        .bind(&due.delivery_id)
        .bind(state.name())
        .bind(sent.status.map(i64::from))
        .bind(sent.error.as_deref().map(text))
        .bind(now + i64::try_from(again).unwrap_or_default())
        .bind(now)
        .bind(due.attempt)
        .execute(&self.database.pool)
        .await?;
        Ok(())
    }

    /// Sends a message again, whatever came of it; false if there is no such message.
    ///
    /// # Errors
    /// The database refused.
    pub async fn redeliver(
        &self,
        tenant: &Tenant,
        webhook: &str,
        delivery_id: &str,
        audited: &AuditRecord,
    ) -> Result<bool, DirectoryError> {
        let mut transaction = self.database.begin().await?;
        let again = sqlx::query(
            "UPDATE webhook_deliveries SET state = 'waiting', next_at = $4, ended_at = NULL, attempts = 0
             WHERE tenant_id = $1 AND webhook = $2 AND delivery_id = $3",
        )
        .bind(tenant.id)
        .bind(text(webhook))
        .bind(text(delivery_id))
        .bind(now_us())
        .execute(&mut *transaction)
        .await?;
        if again.rows_affected() == 0 {
            return Ok(false);
        }
        audit::insert(&mut transaction, tenant.id, audited).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Forgets what was sent long ago.
    ///
    /// # Errors
    /// The database refused.
    pub async fn forget_old_deliveries(&self) -> Result<(), DirectoryError> {
        sqlx::query("DELETE FROM webhook_deliveries WHERE ended_at < $1")
            .bind(now_us() - LOG_US)
            .execute(&self.database.pool)
            .await?;
        Ok(())
    }
}

/// Records that whoever wants to hear of it is told how an export ended. The message names the export
/// and nothing of what is in it: whoever may know more can ask.
pub(crate) async fn announce(
    connection: &mut AnyConnection,
    tenant_id: i64,
    job_id: &str,
    job_state: JobState,
    error_code: Option<&str>,
) -> Result<(), DirectoryError> {
    let Some(event) = WebhookEvent::of(job_state) else {
        return Ok(());
    };
    let names: Vec<String> =
        sqlx::query_scalar("SELECT name FROM webhooks WHERE tenant_id = $1 AND events LIKE $2")
            .bind(tenant_id)
            .bind(format!("% {} %", event.name()))
            .fetch_all(&mut *connection)
            .await?;
    if names.is_empty() {
        return Ok(());
    }
    let waiting: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM webhook_deliveries WHERE tenant_id = $1 AND state = 'waiting'",
    )
    .bind(tenant_id)
    .fetch_one(&mut *connection)
    .await?;
    // Shown in the log, and not sent: whoever does not listen has enough to hear.
    let (state, error) = if waiting < MAX_WAITING {
        (DeliveryState::Waiting, None)
    } else {
        (
            DeliveryState::GivenUp,
            Some("too many messages of this tenant were waiting"),
        )
    };
    let now = now_us();
    let ended = error.map(|_| now);
    let payload = serde_json::json!({
        "type": event.name(), "timestamp": format_timestamp(now),
        "data": {"id": job_id, "state": job_state, "error_code": error_code, "href": format!("/v1/exports/{job_id}")},
    });
    for name in names {
        sqlx::query(
            "INSERT INTO webhook_deliveries (delivery_id, tenant_id, webhook, event, job_id, payload, state, next_at,
                                             created_at, last_error, ended_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9, $10)",
        )
        .bind(format!("msg_{}", Ulid::new()))
        .bind(tenant_id)
        .bind(name)
        .bind(event.name())
        .bind(job_id)
        .bind(payload.to_string())
        .bind(state.name())
        .bind(now)
        .bind(error)
        .bind(ended)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

fn delivery(row: &AnyRow) -> Result<Delivery, DirectoryError> {
    let state = DeliveryState::parse(&row.try_get::<String, _>(3)?)?;
    let next_at = format_timestamp(row.try_get(6)?);
    Ok(Delivery {
        id: row.try_get(0)?,
        event: row.try_get(1)?,
        export: row.try_get(2)?,
        state,
        attempts: row.try_get(4)?,
        created_at: format_timestamp(row.try_get(5)?),
        next_at: (state == DeliveryState::Waiting).then_some(next_at),
        ended_at: row.try_get::<Option<i64>, _>(7)?.map(format_timestamp),
        last_status: row.try_get(8)?,
        last_error: row.try_get(9)?,
    })
}
