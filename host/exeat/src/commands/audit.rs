//! `exeat audit list`.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use exeat_directory::Directory;

use super::client::Client;
use super::house::{ask, server};
use crate::cli::{AuditCommand, Place};

/// Records that a server shows at once, at most.
const PAGE: u32 = 1_000;

/// Runs the command.
pub(crate) async fn run(place: &Place, command: AuditCommand) -> Result<ExitCode> {
    let AuditCommand::List { house, limit } = command;
    if let Some(client) = server(&house)? {
        ask(client, move |client| list(client, limit)).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let directory = Directory::open(&place.database()?).await?;
    let tenant = directory
        .tenant(house.tenant.as_deref().unwrap_or_default())
        .await?;
    for entry in directory.audit(&tenant, limit).await? {
        println!("{}", serde_json::to_string(&entry)?);
    }
    directory.close().await;
    Ok(ExitCode::SUCCESS)
}

/// Prints a server's records, page after page.
fn list(client: &Client, limit: u32) -> Result<()> {
    let (mut left, mut cursor) = (limit, String::new());
    while left > 0 {
        let page = client
            .get(&format!("/v1/audit?limit={}{cursor}", left.min(PAGE)))?
            .body;
        let records = page["records"]
            .as_array()
            .context("the server's answer has no records")?;
        for record in records {
            println!("{record}");
        }
        left -= left.min(PAGE);
        match page["next_cursor"].as_i64() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    Ok(())
}
