//! `exeat plugin logs | metrics | enable | disable | delete`.

use std::process::ExitCode;

use anyhow::Result;
use exeat_directory::format_timestamp;
use serde_json::{Value, json};

use super::super::actor;
use super::super::house::House;
use super::version::split;
use crate::cli::{HouseArgs, Place, VersionArg};

/// Prints what a version has logged.
pub(super) async fn logs(
    place: &Place,
    version: &VersionArg,
    house: &HouseArgs,
    limit: u32,
    as_json: bool,
) -> Result<ExitCode> {
    let (name, version) = split(version)?;
    let lines: Vec<Value> = match House::open(place, house).await? {
        House::Folder { engine, tenant } => {
            let lines = engine
                .plugin_log(&tenant, &actor(), name, version, None, limit)
                .await?
                .into_iter();
            let line = |line: exeat_directory::plugins::PluginLogEntry| {
                json!({
                    "id": line.log_id, "at": format_timestamp(line.at), "level": line.level, "export": line.job_id,
                    "text": line.text,
                })
            };
            lines.map(line).collect()
        }
        House::Server(client) => {
            let path = format!("/v1/plugins/{name}/{version}/logs?limit={limit}");
            let answer = tokio::task::spawn_blocking(move || client.get(&path)).await??;
            answer.body["lines"].as_array().cloned().unwrap_or_default()
        }
    };
    for line in lines {
        if as_json {
            println!("{line}");
            continue;
        }
        let text = |key: &str| line.get(key).and_then(Value::as_str).unwrap_or_default();
        println!(
            "{} {:<5} {} {}",
            text("at"),
            text("level"),
            text("export"),
            text("text")
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints what a version has cost and done.
pub(super) async fn metrics(place: &Place, version: &VersionArg, house: &HouseArgs) -> Result<ExitCode> {
    let (name, version) = split(version)?;
    let metrics = match House::open(place, house).await? {
        House::Folder { engine, tenant } => json!(engine.plugin_metrics(&tenant, name, version).await?),
        House::Server(client) => {
            let path = format!("/v1/plugins/{name}/{version}/metrics");
            tokio::task::spawn_blocking(move || client.get(&path))
                .await??
                .body
        }
    };
    println!("{}", serde_json::to_string_pretty(&metrics)?);
    Ok(ExitCode::SUCCESS)
}

/// Lets exports use a version again.
pub(super) async fn enable(place: &Place, version: &VersionArg, house: &HouseArgs) -> Result<ExitCode> {
    let (name, version) = split(version)?;
    match House::open(place, house).await? {
        House::Folder { engine, tenant } => {
            drop(engine.enable_plugin(&tenant, &actor(), name, version).await?)
        }
        House::Server(client) => {
            let path = format!("/v1/plugins/{name}/{version}/enable");
            drop(tokio::task::spawn_blocking(move || client.post(&path)).await??);
        }
    }
    println!("{name} {version} can be used");
    Ok(ExitCode::SUCCESS)
}

/// Lets no export use a version.
pub(super) async fn disable(place: &Place, version: &VersionArg, house: &HouseArgs) -> Result<ExitCode> {
    let (name, version) = split(version)?;
    match House::open(place, house).await? {
        House::Folder { engine, tenant } => {
            drop(engine.disable_plugin(&tenant, &actor(), name, version).await?)
        }
        House::Server(client) => {
            let path = format!("/v1/plugins/{name}/{version}/disable");
            drop(tokio::task::spawn_blocking(move || client.post(&path)).await??);
        }
    }
    println!("{name} {version} cannot be used any more");
    Ok(ExitCode::SUCCESS)
}

/// Deletes a version.
pub(super) async fn delete(place: &Place, version: &VersionArg, house: &HouseArgs) -> Result<ExitCode> {
    let (name, version) = split(version)?;
    match House::open(place, house).await? {
        House::Folder { engine, tenant } => engine.delete_plugin(&tenant, &actor(), name, version).await?,
        House::Server(client) => {
            let path = format!("/v1/plugins/{name}/{version}");
            drop(tokio::task::spawn_blocking(move || client.delete(&path)).await??);
        }
    }
    println!("{name} {version} is deleted");
    Ok(ExitCode::SUCCESS)
}
