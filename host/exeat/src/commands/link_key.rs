//! `exeat link-key rotate`.

use std::process::ExitCode;

use anyhow::Result;
use exeat_directory::Directory;
use exeat_directory::links::OldLinks;

use crate::cli::{LinkKeyCommand, Place};

/// Runs the command.
pub(crate) async fn run(place: &Place, command: LinkKeyCommand) -> Result<ExitCode> {
    let LinkKeyCommand::Rotate { revoke } = command;
    let directory = Directory::open(&place.database()?).await?;
    let (old, fate) = if revoke {
        (OldLinks::Revoke, "are good no more")
    } else {
        (OldLinks::Expire, "stay good for as long as they said")
    };
    let key = directory.rotate_link_key(old).await?;
    eprintln!(
        "{} signs from now on; links that were signed before {fate}",
        key.key_id
    );
    directory.close().await;
    Ok(ExitCode::SUCCESS)
}
