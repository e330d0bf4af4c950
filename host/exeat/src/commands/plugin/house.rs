//! Where a tenant's plugins are: in a data folder, or behind a server.

use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use exeat_directory::Tenant;
use exeat_engine::Engine;
use serde_json::Value;

use crate::cli::{HouseArgs, Place, VersionArg};

/// How long a server may take for an answer.
const PATIENCE: Duration = Duration::from_secs(120);

/// One of the two.
pub(super) enum House {
    /// A data folder, without a server.
    Folder { engine: Box<Engine>, tenant: Tenant },
    /// A server, over HTTP.
    Server(Client),
}

impl House {
    /// The one that the flags name.
    pub(super) async fn open(place: &Place, args: &HouseArgs) -> Result<Self> {
        match (&args.tenant, &args.server, &args.token) {
            (Some(name), _, _) => {
                let engine = Box::new(Engine::open(place.settings()?).await?);
                let tenant = engine.directory().tenant(name).await?;
                Ok(Self::Folder { engine, tenant })
            }
            (None, Some(url), Some(token)) => Ok(Self::Server(Client::new(url, token))),
            _ => {
                bail!("--tenant names a tenant of the data folder; --server and EXEAT_TOKEN lead to a server")
            }
        }
    }
}

/// `shout@0.1.0` as name and version.
pub(super) fn split(arg: &VersionArg) -> Result<(&str, &str)> {
    arg.plugin
        .split_once('@')
        .ok_or_else(|| anyhow!("a version is written NAME@VERSION, such as shout@0.1.0"))
}

/// Talks to a server.
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

impl Client {
    fn new(url: &str, token: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE));
        Self {
            url: url.trim_end_matches('/').to_owned(),
            token: token.to_owned(),
            agent: config.build().into(),
        }
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    pub(super) fn get(&self, path: &str) -> Result<Answer> {
        let request = self
            .agent
            .get(format!("{}{path}", self.url))
            .header("Authorization", self.bearer());
        self.answer(request.call())
    }

    pub(super) fn delete(&self, path: &str) -> Result<Answer> {
        let request = self
            .agent
            .delete(format!("{}{path}", self.url))
            .header("Authorization", self.bearer());
        self.answer(request.call())
    }

    pub(super) fn post(&self, path: &str, body: &[u8]) -> Result<Answer> {
        let request = self
            .agent
            .post(format!("{}{path}", self.url))
            .header("Authorization", self.bearer());
        self.answer(request.header("Content-Type", "application/wasm").send(body))
    }

    fn answer(&self, response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Answer> {
        let mut response = response.map_err(|error| anyhow!("{} does not answer: {error}", self.url))?;
        let status = response.status().as_u16();
        let text = response.body_mut().read_to_string().unwrap_or_default();
        let body = serde_json::from_str(&text).unwrap_or_default();
        if status >= 400 {
            return Err(problem(status, &body));
        }
        Ok(Answer { status, body })
    }
}

/// A problem (RFC 9457) as an error of one sentence and a hint.
fn problem(status: u16, body: &Value) -> anyhow::Error {
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    let mut message = text("detail").map_or_else(|| format!("the server answers {status}"), str::to_owned);
    if let Some(reason) = text("reason").or_else(|| text("code")) {
        message.push_str(&format!(" ({reason})"));
    }
    if let Some(hint) = text("hint") {
        message.push_str(&format!("\nhint: {hint}"));
    }
    anyhow!(message)
}
