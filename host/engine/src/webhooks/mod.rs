//! Sends what webhooks are to be told, as the Standard Webhooks specification has it: signed, again
//! if need be, and to no address inside.

mod address;

use std::collections::HashMap;
use std::time::Duration;

use data_encoding::BASE64;
use exeat_directory::now_us;
use exeat_directory::webhooks::{Due, DueDelivery, Sent, WebhookSecret};
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use sha2::Sha256;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::error::RequestError;
use address::{PublicOnly, is_public};

/// How often is looked for something to send.
const POLL_EVERY: Duration = Duration::from_secs(1);

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// For how long a message is ours to send.
const LEASE: Duration = Duration::from_secs(60);

/// Messages that are sent at once, by this process.
const AT_ONCE: u32 = 16;

/// Of them, those of one tenant: a receiver that is slow holds up nobody else's.
const OF_EACH_TENANT: u32 = 2;

/// How long to wait after each attempt that failed; after the last, a message is given up.
const AGAIN_AFTER: [Duration; 7] = [
    Duration::from_secs(5),
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3_600),
    Duration::from_secs(6 * 3_600),
    Duration::from_secs(24 * 3_600),
];

/// What secrets begin with when they are shown.
const SECRET_PREFIX: &str = "whsec_";

/// Longest address of a webhook.
const MAX_URL_BYTES: usize = 2_048;

/// To which addresses messages may be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WebhookTargets {
    /// Public ones, over TLS.
    #[default]
    Public,
    /// Any: for receivers in the operator's own network, whose tenants the operator trusts.
    Any,
}

impl WebhookTargets {
    /// Checks an address, as far as it tells without being looked up.
    ///
    /// # Errors
    /// Nothing is sent there.
    pub fn check(self, url: &str) -> Result<(), RequestError> {
        let refused = |detail: &str| Err(RequestError::new("invalid-webhook-url", "/url", detail));
        if url.len() > MAX_URL_BYTES {
            return refused("the address is longer than 2,048 characters");
        }
        let Ok(parsed) = Url::parse(url) else {
            return refused("the address is not a URL");
        };
        let sound = match self {
            Self::Public => parsed.scheme() == "https",
            Self::Any => matches!(parsed.scheme(), "http" | "https"),
        };
        if !sound {
            return refused("the address does not begin with https://");
        }
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return refused("the address holds a password: messages are signed instead");
        }
        let literal = parsed
            .host_str()
            .map(|host| host.trim_matches(['[', ']']))
            .and_then(|host| host.parse().ok());
        if self == Self::Public && literal.is_some_and(|address| !is_public(address)) {
            return refused("the address is not a public one");
        }
        Ok(())
    }

    fn client(self) -> Result<Client, reqwest::Error> {
        let builder = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .timeout(TIMEOUT)
            .user_agent(concat!("exeat/", env!("CARGO_PKG_VERSION")));
        match self {
            Self::Public => builder.https_only(true).dns_resolver(PublicOnly).build(),
            Self::Any => builder.build(),
        }
    }
}

/// A secret, as it is shown to whoever checks signatures with it.
pub fn shown_secret(secret: &WebhookSecret) -> String {
    format!("{SECRET_PREFIX}{}", BASE64.encode(&secret.0))
}

/// Sends messages until it is told to stop; those at hand are then sent to their end.
pub(crate) async fn send(engine: Engine, stop: CancellationToken) {
    let client = match engine.settings.webhooks.client() {
        Ok(client) => client,
        Err(error) => {
            tracing::error!(%error, "webhooks cannot be sent");
            return;
        }
    };
    let mut at_hand: JoinSet<i64> = JoinSet::new();
    let mut of_tenant: HashMap<i64, u32> = HashMap::new();
    while !stop.is_cancelled() {
        let due = engine.directory.due_deliveries(OF_EACH_TENANT, AT_ONCE).await;
        let due = due.unwrap_or_else(|error| {
            tracing::error!(%error, "what webhooks are to be told cannot be read");
            Vec::new()
        });
        for Due {
            delivery_id,
            tenant_id,
        } in due
        {
            let theirs = of_tenant.entry(tenant_id).or_default();
            if at_hand.len() >= AT_ONCE as usize || *theirs >= OF_EACH_TENANT {
                continue;
            }
            *theirs += 1;
            let (engine, client) = (engine.clone(), client.clone());
            at_hand.spawn(async move {
                claim_and_deliver(&engine, &client, &delivery_id).await;
                tenant_id
            });
        }
        // When one is sent, another may have its turn.
        tokio::select! {
            Some(sent) = at_hand.join_next() => forget(&mut of_tenant, sent.ok()),
            () = tokio::time::sleep(POLL_EVERY) => {}
            () = stop.cancelled() => {}
        }
    }
    while at_hand.join_next().await.is_some() {}
}

/// One message less of this tenant is at hand.
fn forget(of_tenant: &mut HashMap<i64, u32>, tenant_id: Option<i64>) {
    let Some(tenant_id) = tenant_id else {
        // Nobody knows whose it was: all may have more for a moment, rather than one less for ever.
        of_tenant.clear();
        return;
    };
    if let Some(theirs) = of_tenant.get_mut(&tenant_id) {
        *theirs = theirs.saturating_sub(1);
        if *theirs == 0 {
            of_tenant.remove(&tenant_id);
        }
    }
}

async fn claim_and_deliver(engine: &Engine, client: &Client, delivery_id: &str) {
    match engine.directory.claim_delivery(delivery_id, LEASE).await {
        Ok(Some(due)) => deliver(engine, client, &due).await,
        Ok(None) => {}
        Err(error) => tracing::error!(%error, "a webhook's message cannot be taken"),
    }
}

async fn deliver(engine: &Engine, client: &Client, due: &DueDelivery) {
    let attempt = usize::try_from(due.attempt).unwrap_or(usize::MAX);
    let (status, error) = match post(engine, client, due).await {
        Ok(status) => (Some(status), None),
        Err(reason) => (None, Some(reason)),
    };
    let sent = Sent {
        status,
        error,
        again_after: AGAIN_AFTER.get(attempt.saturating_sub(1)).copied(),
    };
    if let Err(error) = engine.directory.end_delivery(due, &sent).await {
        tracing::error!(%error, "what became of a webhook's message cannot be recorded");
    }
}

/// Sends a message; says the status of the answer, or why there is none.
async fn post(engine: &Engine, client: &Client, due: &DueDelivery) -> Result<u16, String> {
    // What was allowed when it was written down may not be any more.
    let allowed = engine.settings.webhooks.check(&due.url);
    allowed.map_err(|refusal| refusal.detail)?;
    let timestamp = now_us() / 1_000_000;
    let answered = client
        .post(&due.url)
        .header(CONTENT_TYPE, "application/json")
        .header("webhook-id", &due.delivery_id)
        .header("webhook-timestamp", timestamp)
        .header("webhook-signature", signatures(due, timestamp))
        .body(due.payload.clone())
        .send()
        .await;
    match answered {
        Ok(answer) => Ok(answer.status().as_u16()),
        Err(error) => Err(explain(&error).to_owned()),
    }
}

/// Why there was no answer. What the other side said stays there: it may be anybody.
fn explain(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "there was no answer within 10 seconds"
    } else if error.is_connect() {
        "the address cannot be reached, is not public, or its certificate is not trusted"
    } else {
        "the request failed"
    }
}

/// One signature a secret, so that a receiver that knows either believes it.
fn signatures(due: &DueDelivery, timestamp: i64) -> String {
    let signed = format!("{}.{timestamp}.{}", due.delivery_id, due.payload);
    let signatures = due.secrets.iter().map(|secret| {
        let mut mac = <Hmac<Sha256>>::new_from_slice(&secret.0).expect("HMAC takes a key of any length");
        mac.update(signed.as_bytes());
        format!("v1,{}", BASE64.encode(&mac.finalize().into_bytes()))
    });
    signatures.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_one_of_the_specification() {
        // The example of the Standard Webhooks specification's libraries.
        let due = DueDelivery {
            delivery_id: "msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned(),
            url: String::new(),
            payload: r#"{"test": 2432232314}"#.to_owned(),
            secrets: vec![WebhookSecret(
                BASE64.decode(b"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap(),
            )],
            attempt: 1,
        };
        assert_eq!(
            signatures(&due, 1_614_265_330),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn nothing_is_sent_inside_or_in_the_clear() {
        let refused = [
            "http://hooks.example.com/",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://10.1.2.3/",
            "https://169.254.169.254/latest/meta-data/",
            "https://0x7f.1/",
            "https://2130706433/",
            "https://[::ffff:10.0.0.1]/",
            "https://user:secret@hooks.example.com/",
            "ftp://hooks.example.com/",
            "hooks.example.com",
        ];
        for url in refused {
            assert!(WebhookTargets::Public.check(url).is_err(), "{url}");
        }
        let taken = [
            "https://hooks.example.com/exeat?x=1",
            "https://93.184.216.34:8443/",
        ];
        for url in taken {
            assert!(WebhookTargets::Public.check(url).is_ok(), "{url}");
        }
        assert!(WebhookTargets::Any.check("http://127.0.0.1:9000/").is_ok());
    }
}
