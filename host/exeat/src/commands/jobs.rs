//! `exeat jobs list | cancel | delete | hold | release | sweep`.

use std::process::ExitCode;

use anyhow::Result;
use exeat_directory::jobs::{Job, JobState};
use exeat_directory::{Tenant, format_timestamp};
use exeat_engine::Engine;

use super::actor;
use crate::cli::{JobArg, JobsCommand, Place};

/// Runs the command.
pub(crate) async fn run(place: &Place, command: JobsCommand) -> Result<ExitCode> {
    let engine = Engine::open(place.settings()?).await?;
    match command {
        JobsCommand::List { tenant, limit } => {
            let tenant = engine.directory().tenant(&tenant).await?;
            for job in engine.directory().jobs(&tenant, limit).await? {
                println!("{}", line(&job));
            }
        }
        JobsCommand::Cancel(arg) => {
            let tenant = tenant(&engine, &arg).await?;
            let job = engine.cancel(&tenant, &actor(), &arg.job_id).await?;
            match job.state {
                JobState::Running => eprintln!("{} stops as soon as its worker has heard", arg.job_id),
                _ => eprintln!("{} cancelled", arg.job_id),
            }
        }
        JobsCommand::Delete(arg) => {
            let tenant = tenant(&engine, &arg).await?;
            engine.delete_files(&tenant, &actor(), &arg.job_id).await?;
            eprintln!("the files of {} are removed", arg.job_id);
        }
        JobsCommand::Hold(arg) => {
            let tenant = tenant(&engine, &arg).await?;
            engine.hold_files(&tenant, &actor(), &arg.job_id, true).await?;
            eprintln!("the files of {} are kept until exeat jobs release", arg.job_id);
        }
        JobsCommand::Release(arg) => {
            let tenant = tenant(&engine, &arg).await?;
            let job = engine.hold_files(&tenant, &actor(), &arg.job_id, false).await?;
            let until = job.expires_at.map(format_timestamp).unwrap_or_default();
            eprintln!("the files of {} are kept until {until}", arg.job_id);
        }
        JobsCommand::Sweep => {
            let swept = engine.sweep().await?;
            eprintln!(
                "{} exports purged, {} attempts that no export owns removed",
                swept.purged, swept.orphans
            );
        }
    }
    engine.directory().close().await;
    Ok(ExitCode::SUCCESS)
}

async fn tenant(engine: &Engine, arg: &JobArg) -> Result<Tenant> {
    Ok(engine.directory().tenant(&arg.tenant).await?)
}

fn line(job: &Job) -> serde_json::Value {
    serde_json::json!({
        "id": job.job_id, "state": job.state.name(), "actor": job.actor, "attempt": job.attempt,
        "created_at": format_timestamp(job.created_at), "finished_at": job.finished_at.map(format_timestamp),
        "rows_done": job.rows_done, "rows_total": job.rows_total, "bytes": job.bytes, "error_code": job.error_code,
        "expires_at": job.expires_at.map(format_timestamp), "purged_at": job.purged_at.map(format_timestamp),
        "held_by": job.held_by,
    })
}
