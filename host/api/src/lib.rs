//! The HTTP door: native API, the part of Auth0's that exports users, and problem details.
//!
//! | operation | scope |
//! |---|---|
//! | `POST /v1/exports`, 202 and `Location` | `create:exports` |
//! | `GET /v1/exports`, `GET /v1/exports/{id}` | `read:exports` |
//! | `GET /v1/exports/{id}/manifest`, `GET /v1/exports/{id}/files/{name}` | `read:exports` |
//! | `POST /v1/exports/{id}/files/{name}/links` | `read:exports` |
//! | `GET /v1/downloads/{id}/{name}?…` | whoever has the link, for as long as its token has `read:exports` |
//! | `POST /v1/exports/{id}/cancel` | `create:exports` |
//! | `DELETE /v1/exports/{id}/files`, `PUT` and `DELETE /v1/exports/{id}/hold` | `manage:exports` |
//! | `GET` and `POST /v1/users/stream` | `read:users` |
//! | `GET /v1/audit` | `read:audit` |
//! | `GET /v1/fields`, `GET /v1/plugins` | any token |
//! | `POST /v1/plugins?name=&version=`, 201 or 202 and `Location` | `manage:plugins` |
//! | `DELETE /v1/plugins/{name}/{version}`, `POST …/enable`, `…/disable`, `…/dry-run` | `manage:plugins` |
//! | `GET /v1/plugins/{name}`, `…/{version}`, `…/logs`, `…/metrics`, `GET /v1/plugin-limits/{name}` | `read:plugins` |
//! | `PUT /v1/plugin-limits/{name}` | `manage:plugins` |
//! | `POST /api/v2/jobs/users-exports`, `GET /api/v2/jobs/{id}`, `…/errors`, as Auth0 has them | `read:users` |
//! | `GET /healthz`, `GET /problems/{code}` | nobody |
//!
//! A handler gets its authorization as an argument: `auth::Granted` is made only of a valid
//! token with the scope that its type names.

mod audit;
mod auth;
mod auth0;
mod downloads;
mod exports;
mod fields;
mod input;
mod linger;
mod negotiate;
mod openapi;
mod output;
mod page;
mod plugins;
mod problem;
mod server;
mod stream;
mod users_query;

pub use server::{ServeError, document, router, serve};

use axum::http::{HeaderMap, header};
use exeat_engine::Engine;

/// What every handler can reach.
#[derive(Clone, Debug)]
pub struct App {
    engine: Engine,
    /// Where the server is reached from outside, without a slash at its end.
    public_url: Option<String>,
}

impl App {
    /// The door to this engine.
    pub fn new(engine: Engine) -> Self {
        Self {
            engine,
            public_url: None,
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

    /// What links begin with: the operator's word, or else what the caller called us.
    fn base_url(&self, headers: &HeaderMap) -> String {
        let host = || headers.get(header::HOST)?.to_str().ok();
        match &self.public_url {
            Some(url) => url.clone(),
            None => format!("http://{}", host().unwrap_or("localhost")),
        }
    }
}
