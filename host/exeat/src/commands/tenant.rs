//! `exeat tenant create | list`.

use std::process::ExitCode;

use anyhow::Result;
use exeat_directory::Directory;

use crate::cli::{Place, TenantCommand};

/// Runs the command.
pub(crate) async fn run(place: &Place, command: TenantCommand) -> Result<ExitCode> {
    let directory = Directory::open(&place.database()?).await?;
    match command {
        TenantCommand::Create { name } => {
            let (_, created) = directory.ensure_tenant(&name).await?;
            match created {
                true => eprintln!("created the tenant {name}"),
                false => eprintln!("there is a tenant {name} already"),
            }
        }
        TenantCommand::List => {
            for name in directory.tenant_names().await? {
                println!("{name}");
            }
        }
    }
    directory.close().await;
    Ok(ExitCode::SUCCESS)
}
