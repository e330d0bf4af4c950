//! Talks to a server.

use std::io::Read;
use std::time::Duration;

use anyhow::{Result, anyhow};
use serde_json::Value;

/// How long a server may take for an answer.
const PATIENCE: Duration = Duration::from_secs(120);

/// A server, and who we are to it.
#[derive(Clone)]
pub(super) struct Client {
    url: String,
    token: String,
    agent: ureq::Agent,
}

/// What a server answered: status and JSON.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
}

type Response = ureq::http::Response<ureq::Body>;

impl Client {
    pub(super) fn new(url: &str, token: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .timeout_recv_body(Some(PATIENCE));
        Self {
            url: url.trim_end_matches('/').to_owned(),
            token: token.to_owned(),
            agent: config.build().into(),
        }
    }

    pub(super) fn get(&self, path: &str) -> Result<Answer> {
        self.ask("GET", path, &[], &[])
    }

    pub(super) fn delete(&self, path: &str) -> Result<Answer> {
        self.ask("DELETE", path, &[], &[])
    }

    /// Sends nothing but the wish.
    pub(super) fn put(&self, path: &str) -> Result<Answer> {
        self.ask("PUT", path, &[], &[])
    }

    /// The same.
    pub(super) fn post(&self, path: &str) -> Result<Answer> {
        self.ask("POST", path, &[], &[])
    }

    /// Sends a component.
    pub(super) fn post_component(&self, path: &str, component: &[u8]) -> Result<Answer> {
        self.ask("POST", path, &[("Content-Type", "application/wasm")], component)
    }

    /// Sends JSON, once, however often it is sent under this key.
    pub(super) fn post_once(&self, path: &str, key: &str, body: &Value) -> Result<Answer> {
        let headers = [("Content-Type", "application/json"), ("Idempotency-Key", key)];
        self.ask("POST", path, &headers, body.to_string().as_bytes())
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer> {
        let mut response = self.send(method, path, headers, body)?;
        let status = response.status().as_u16();
        let body = json(&mut response);
        if status >= 400 {
            return Err(problem(status, &body));
        }
        Ok(Answer { status, body })
    }

    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Response> {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("Authorization", format!("Bearer {}", self.token));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let sent = if body.is_empty() {
            self.agent.run(request.body(())?)
        } else {
            self.agent.run(request.body(body)?)
        };
        sent.map_err(|error| anyhow!("{} does not answer: {error}", self.url))
    }

    /// A file from this byte on.
    pub(super) fn download(&self, path: &str, from: u64) -> Result<impl Read + use<>> {
        let part = format!("bytes={from}-");
        let mut response = self.send("GET", path, &[("Range", &part)], &[])?;
        match response.status().as_u16() {
            206 => Ok(response.into_body().into_reader()),
            // A server that knows no parts.
            200 if from == 0 => Ok(response.into_body().into_reader()),
            status => Err(problem(status, &json(&mut response))),
        }
    }
}

fn json(response: &mut Response) -> Value {
    let text = response.body_mut().read_to_string().unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// A server said no.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Refused {
    status: u16,
    message: String,
}

/// Whether it makes sense to ask again: the server was not there, or had no room.
pub(super) fn is_passing(error: &anyhow::Error) -> bool {
    let refused = error.downcast_ref::<Refused>();
    refused.is_none_or(|refused| matches!(refused.status, 408 | 429 | 500..))
}

/// A problem (RFC 9457) as an error of one sentence and a hint.
fn problem(status: u16, body: &Value) -> anyhow::Error {
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    let mut message = text("detail").map_or_else(|| format!("the server answers {status}"), str::to_owned);
    if let Some(pointer) = text("pointer").filter(|pointer| !pointer.is_empty()) {
        message.push_str(&format!(" (at {pointer})"));
    }
    if let Some(reason) = text("reason").or_else(|| text("code")) {
        message.push_str(&format!(" ({reason})"));
    }
    if let Some(hint) = text("hint") {
        message.push_str(&format!("\nhint: {hint}"));
    }
    Refused { status, message }.into()
}
