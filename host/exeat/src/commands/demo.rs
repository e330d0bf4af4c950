//! `exeat demo`: a tenant, a token, a server, and what to try.

use std::process::ExitCode;

use anyhow::Result;
use exeat_api::App;
use exeat_directory::tokens::Scope;
use exeat_engine::Engine;

use super::{serve, users};
use crate::cli::{DemoArgs, Place};

const TENANT: &str = "demo";
const SEED: u64 = 7;
const WORKERS: u8 = 2;
const GRACE: std::time::Duration = std::time::Duration::from_secs(10);

/// Sets up the demo tenant, tells what to try, and serves until interrupted.
pub(crate) async fn run(place: &Place, args: DemoArgs) -> Result<ExitCode> {
    let engine = Engine::open(place.settings()?).await?;
    let (tenant, created) = engine.directory().ensure_tenant(TENANT).await?;
    if created {
        users::generate(engine.directory(), &tenant, args.users, SEED).await?;
    }
    let scopes = Scope::ALL.into_iter().collect();
    for old in engine
        .directory()
        .tokens(&tenant)
        .await?
        .iter()
        .filter(|token| token.name == TENANT)
    {
        engine.directory().revoke_token(&tenant, &old.token_id).await?;
    }
    let token = engine
        .directory()
        .create_token(&tenant, TENANT, &scopes, None)
        .await?;
    let listener = serve::listen(args.listen).await?;
    let url = format!("http://{}", listener.local_addr()?);
    println!("{}", what_to_try(&url, &token.secret));
    let app = App::new(engine.clone());
    serve::serve(engine, app, listener, WORKERS, GRACE).await
}

fn what_to_try(url: &str, token: &str) -> String {
    format!(
        r#"
Exeat serves the tenant "{TENANT}" at {url}
Token: {token}

Three commands to paste into another terminal:

  # 1. Ask for an export; the answer tells where it is.
  curl -sS {url}/v1/exports -H 'Authorization: Bearer {token}' \
    -H 'Content-Type: application/json' -d '{{"format": "csv", "filter": {{"state": "active"}}}}'

  # 2. See the newest export, and download its first file.
  curl -sS '{url}/v1/exports?limit=1' -H 'Authorization: Bearer {token}' \
    | sed -E 's|.*"href":"([^"]+)".*|{url}\1|' \
    | xargs curl -sS -o users.csv -H 'Authorization: Bearer {token}' && head -n 3 users.csv

  # 3. Stream every user, and count them.
  curl -sS {url}/v1/users/stream -H 'Authorization: Bearer {token}' | wc -l

Ctrl-C stops the server.
"#
    )
}
