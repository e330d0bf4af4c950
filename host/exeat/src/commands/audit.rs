//! `exeat audit list`.

use std::process::ExitCode;

use anyhow::Result;
use exeat_directory::Directory;

use crate::cli::{AuditCommand, Place};

/// Runs the command.
pub(crate) async fn run(place: &Place, command: AuditCommand) -> Result<ExitCode> {
    let AuditCommand::List { tenant, limit } = command;
    let directory = Directory::open(&place.database()?).await?;
    let tenant = directory.tenant(&tenant).await?;
    for entry in directory.audit(&tenant, limit).await? {
        println!("{}", serde_json::to_string(&entry)?);
    }
    directory.close().await;
    Ok(ExitCode::SUCCESS)
}
