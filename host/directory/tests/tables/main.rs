//! What the directory promises of its small tables, on every database that it can be.

#[macro_use]
mod both;
mod audit;
mod jobs;
mod lost;
mod opening;
mod plugins;
mod schema;
mod tenants;
mod tokens;
