//! The HTTP door: native API, the part of Auth0's that exports users, and problem details.
//!
//! What there is, `openapi.json` says; it is made of the [routes](router) themselves.
//!
//! A handler gets its authorization as an argument: `auth::Granted` is made only of a valid
//! token with the scope that its type names.

mod audit;
mod auth;
mod auth0;
mod downloads;
mod events;
mod exports;
mod fields;
mod input;
mod linger;
mod names;
mod negotiate;
mod oidc;
mod openapi;
mod output;
mod page;
mod plugins;
mod presets;
mod problem;
mod rate;
mod request_id;
mod server;
mod stream;
mod users;
mod users_query;
mod webhooks;

pub use oidc::{OidcError, OidcSettings};
pub use server::{document, router, serve};

use std::num::NonZeroU32;
use std::sync::Arc;

use axum::http::{HeaderMap, header};
use exeat_directory::DirectoryError;
use exeat_directory::tokens::{Bearer, is_token};
use exeat_engine::Engine;
use tokio::sync::Semaphore;

use oidc::Oidc;
use rate::RateLimit;

/// Requests of one token in a second, where the operator does not say.
pub const DEFAULT_RATE: NonZeroU32 = NonZeroU32::new(200).expect("it is not zero");

/// What every handler can reach.
#[derive(Clone, Debug)]
pub struct App {
    engine: Engine,
    /// Where the server is reached from outside, without a slash at its end.
    public_url: Option<String>,
    rate_limit: RateLimit,
    oidc: Option<Oidc>,
    /// Places of those who listen to events.
    listeners: Arc<Semaphore>,
}

impl App {
    /// The door to this engine.
    pub fn new(engine: Engine) -> Self {
        Self {
            engine,
            public_url: None,
            rate_limit: RateLimit::per_second(DEFAULT_RATE),
            oidc: None,
            listeners: Arc::new(Semaphore::new(events::MAX_LISTENERS)),
        }
    }

    /// The same door, which is reached under this address.
    #[must_use]
    pub fn reached_at(self, url: Option<&str>) -> Self {
        Self {
            public_url: url.map(|url| url.trim_end_matches('/').to_owned()),
            ..self
        }
    }

    /// The same door, where a token is used for so many requests a second, and twice as many at once.
    #[must_use]
    pub fn limited_to(self, requests_per_second: NonZeroU32) -> Self {
        Self {
            rate_limit: RateLimit::per_second(requests_per_second),
            ..self
        }
    }

    /// The same door, open to those who hold a token of this issuer, too.
    ///
    /// # Errors
    /// The issuer cannot be one.
    pub fn trusting(self, issuer: OidcSettings) -> Result<Self, OidcError> {
        Ok(Self {
            oidc: Some(Oidc::new(issuer)?),
            ..self
        })
    }

    /// Who holds a token, of ours or of the issuer's.
    async fn authenticate(&self, token: &str) -> Result<Option<Bearer>, DirectoryError> {
        let directory = self.engine.directory();
        match &self.oidc {
            Some(oidc) if !is_token(token) => oidc.authenticate(token, directory).await,
            _ => directory.authenticate(token).await,
        }
    }

    /// What links begin with: the operator's word, or else what the caller called us.
    fn base_url(&self, headers: &HeaderMap) -> String {
        let host = || headers.get(header::HOST)?.to_str().ok();
        match &self.public_url {
            Some(url) => url.clone(),
            None => format!("http://{}", host().unwrap_or("localhost")),
        }
    }
}
