//! `exeat jobs list | cancel | delete | hold | release | sweep`.

use std::process::ExitCode;

use anyhow::Result;
use exeat_directory::format_timestamp;
use exeat_directory::jobs::{Job, JobState};
use exeat_engine::Engine;
use serde_json::Value;

use super::actor;
use super::client::Client;
use super::house::{House, ask};
use crate::cli::{HouseArgs, JobArg, JobsCommand, Place};

/// Exports that a server shows at once, at most.
const PAGE: u32 = 200;

/// Runs the command.
pub(crate) async fn run(place: &Place, command: JobsCommand) -> Result<ExitCode> {
    match command {
        JobsCommand::List { house, limit } => list(place, &house, limit).await?,
        JobsCommand::Cancel(arg) => {
            let running = match House::open(place, &arg.house).await? {
                House::Folder { engine, tenant } => {
                    let job = engine.cancel(&tenant, &actor(), &arg.job_id).await?;
                    job.state == JobState::Running
                }
                House::Server(client) => {
                    let path = format!("/v1/exports/{}/cancel", arg.job_id);
                    let cancelled = ask(client, move |client| client.post(&path)).await?;
                    cancelled.body["state"] == JobState::Running.name()
                }
            };
            if running {
                eprintln!("{} stops as soon as its worker has heard", arg.job_id);
            } else {
                eprintln!("{} cancelled", arg.job_id);
            }
        }
        JobsCommand::Delete(arg) => {
            match House::open(place, &arg.house).await? {
                House::Folder { engine, tenant } => {
                    engine.delete_files(&tenant, &actor(), &arg.job_id).await?;
                }
                House::Server(client) => {
                    let path = format!("/v1/exports/{}/files", arg.job_id);
                    ask(client, move |client| client.delete(&path)).await?;
                }
            }
            eprintln!("the files of {} are removed", arg.job_id);
        }
        JobsCommand::Hold(arg) => {
            hold(place, &arg, true).await?;
            eprintln!("the files of {} are kept until exeat jobs release", arg.job_id);
        }
        JobsCommand::Release(arg) => {
            let until = hold(place, &arg, false).await?;
            eprintln!("the files of {} are kept until {until}", arg.job_id);
        }
        JobsCommand::Sweep => {
            let engine = Engine::open(place.settings()?).await?;
            let swept = engine.sweep().await?;
            eprintln!(
                "{} exports purged, {} attempts that no export owns removed",
                swept.purged, swept.orphans
            );
            engine.directory().close().await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(place: &Place, house: &HouseArgs, limit: u32) -> Result<()> {
    let lines: Vec<Value> = match House::open(place, house).await? {
        House::Folder { engine, tenant } => {
            let jobs = engine.directory().jobs(&tenant, limit).await?;
            jobs.iter().map(line).collect()
        }
        House::Server(client) => ask(client, move |client| exports(client, limit)).await?,
    };
    for line in lines {
        println!("{line}");
    }
    Ok(())
}

/// A server's exports, page after page.
fn exports(client: &Client, limit: u32) -> Result<Vec<Value>> {
    let (mut exports, mut cursor) = (Vec::new(), String::new());
    while let left @ 1.. = limit.saturating_sub(u32::try_from(exports.len())?) {
        let mut page = client
            .get(&format!("/v1/exports?limit={}{cursor}", left.min(PAGE)))?
            .body;
        if let Value::Array(more) = page["exports"].take() {
            exports.extend(more);
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    Ok(exports)
}

/// Orders that files are kept, or lifts the order; says until when they are then.
async fn hold(place: &Place, arg: &JobArg, hold: bool) -> Result<String> {
    match House::open(place, &arg.house).await? {
        House::Folder { engine, tenant } => {
            let job = engine.hold_files(&tenant, &actor(), &arg.job_id, hold).await?;
            Ok(job.expires_at.map(format_timestamp).unwrap_or_default())
        }
        House::Server(client) => {
            let path = format!("/v1/exports/{}/hold", arg.job_id);
            let held = ask(client, move |client| {
                if hold {
                    client.put(&path)
                } else {
                    client.delete(&path)
                }
            });
            Ok(held.await?.body["expires_at"]
                .as_str()
                .unwrap_or_default()
                .to_owned())
        }
    }
}

fn line(job: &Job) -> Value {
    serde_json::json!({
        "id": job.job_id, "state": job.state.name(), "actor": job.actor, "attempt": job.attempt,
        "created_at": format_timestamp(job.created_at), "finished_at": job.finished_at.map(format_timestamp),
        "rows_done": job.rows_done, "rows_total": job.rows_total, "bytes": job.bytes, "error_code": job.error_code,
        "expires_at": job.expires_at.map(format_timestamp), "purged_at": job.purged_at.map(format_timestamp),
        "held_by": job.held_by,
    })
}
