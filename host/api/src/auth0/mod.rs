//! The users-exports API of Auth0, so that a client that was written for it works when its base URL
//! is changed (`/api/v2`).
//!
//! An export is an export: what is asked for here becomes a request like any other, whose fields go
//! through the sandboxed `field-map`. The request as it came is kept with the export, to be shown
//! again.

mod error;
mod job;
mod request;

pub(crate) use job::{create, errors, get};

/// Under which key the request as it came is kept with the export.
const KEPT_REQUEST: &str = "auth0";
/// And the name of its connection.
const KEPT_CONNECTION: &str = "auth0.connection";
