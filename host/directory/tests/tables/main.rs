//! What the directory promises of its small tables, on every database that it can be.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

#[macro_use]
mod both;
mod audit;
mod jobs;
mod lost;
mod opening;
mod plugins;
mod presets;
mod schema;
mod tenants;
mod tokens;
mod webhooks;
