//! The HTTP door: native API and problem details.
//!
//! | operation | scope |
//! |---|---|
//! | `POST /v1/exports`, 202 and `Location` | `create:exports` |
//! | `GET /v1/exports`, `GET /v1/exports/{id}` | `read:exports` |
//! | `GET /v1/exports/{id}/manifest`, `GET /v1/exports/{id}/files/{name}` | `read:exports` |
//! | `POST /v1/exports/{id}/cancel` | `create:exports` |
//! | `DELETE /v1/exports/{id}/files`, `PUT` and `DELETE /v1/exports/{id}/hold` | `manage:exports` |
//! | `GET /v1/users/stream` | `read:users` |
//! | `GET /v1/fields`, `GET /v1/plugins` | any token |
//! | `POST /v1/plugins?name=&version=`, 201 or 202 and `Location` | `manage:plugins` |
//! | `DELETE /v1/plugins/{name}/{version}`, `POST …/enable`, `…/disable`, `…/dry-run` | `manage:plugins` |
//! | `GET /v1/plugins/{name}`, `…/{version}`, `…/logs`, `…/metrics`, `GET /v1/plugin-limits/{name}` | `read:plugins` |
//! | `PUT /v1/plugin-limits/{name}` | `manage:plugins` |
//! | `GET /healthz`, `GET /problems/{code}` | nobody |
//!
//! A handler gets its authorization as an argument: `auth::Granted` is made only of a valid
//! token with the scope that its type names.

mod auth;
mod exports;
mod fields;
mod plugins;
mod problem;
mod server;
mod stream;

pub use server::{ServeError, router, serve};

use exeat_engine::Engine;

/// What every handler can reach.
#[derive(Clone, Debug)]
pub struct App {
    engine: Engine,
}

impl App {
    /// The door to this engine.
    pub fn new(engine: Engine) -> Self {
        Self { engine }
    }
}
