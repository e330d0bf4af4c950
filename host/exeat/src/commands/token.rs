//! `exeat token create | list | revoke`.

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::{Result, bail};
use exeat_directory::tokens::Scope;
use exeat_directory::{Directory, now_us};

use crate::cli::{Place, TokenCommand};

const DAY_US: i64 = 86_400_000_000;

/// Runs the command.
pub(crate) async fn run(place: &Place, command: TokenCommand) -> Result<ExitCode> {
    let directory = Directory::open(&place.database()?).await?;
    match command {
        TokenCommand::Create {
            tenant,
            name,
            scope,
            expires_in_days,
        } => {
            let tenant = directory.tenant(&tenant).await?;
            let scopes: BTreeSet<Scope> = if scope.is_empty() {
                Scope::ALL.into_iter().collect()
            } else {
                scope.into_iter().collect()
            };
            let expires_at = expires_in_days.map(|days| now_us() + i64::from(days) * DAY_US);
            let token = directory
                .create_token(&tenant, &name, &scopes, expires_at)
                .await?;
            // The token alone on standard output, so that a script can take it.
            println!("{}", token.secret);
            eprintln!("{} created; the token is shown this once", token.token_id);
        }
        TokenCommand::List { tenant } => {
            let tenant = directory.tenant(&tenant).await?;
            for token in directory.tokens(&tenant).await? {
                println!("{}", serde_json::to_string(&token)?);
            }
        }
        TokenCommand::Revoke { tenant, token_id } => {
            let tenant = directory.tenant(&tenant).await?;
            if !directory.revoke_token(&tenant, &token_id).await? {
                bail!("the tenant has no valid token {token_id}");
            }
            eprintln!("{token_id} revoked");
        }
    }
    directory.close().await;
    Ok(ExitCode::SUCCESS)
}
