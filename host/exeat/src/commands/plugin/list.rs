//! `exeat plugin list`.

use std::process::ExitCode;

use anyhow::Result;
use exeat_engine::Engine;
use serde_json::Value;

use super::super::client::Client;
use super::super::house::ask;
use crate::cli::{OptionalHouseArgs, Place};

/// Lists the plugins that ship, and a tenant's.
pub(super) async fn run(
    place: &Place,
    house: &OptionalHouseArgs,
    schemas: bool,
    json: bool,
) -> Result<ExitCode> {
    let plugins = find(place, house).await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&plugins)?);
        return Ok(ExitCode::SUCCESS);
    }
    for plugin in plugins.as_array().into_iter().flatten() {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let state = plugin["state"]
            .as_str()
            .map(|state| format!(" [{state}]"))
            .unwrap_or_default();
        let [name, version, kind, summary] =
            ["name", "version", "kind", "summary"].map(|key| text(&plugin[key]));
        println!("{name:<20} {version:<8} {kind:<10} {summary}{state}");
        println!("  {}", text(&plugin["digest"]));
        if let Some(reason) = plugin.get("reason") {
            println!("  {}: {}", text(&reason["code"]), text(&reason["detail"]));
        }
        if schemas {
            println!("{}", serde_json::to_string_pretty(&plugin["config_schema"])?);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// As a server shows them.
async fn find(place: &Place, house: &OptionalHouseArgs) -> Result<Value> {
    if let (None, Some(url), Some(token)) = (&house.tenant, &house.server, &house.token) {
        let client = Client::new(url, token);
        let mut answer = ask(client, |client| client.get("/v1/plugins")).await?;
        return Ok(answer.body["plugins"].take());
    }
    let engine = Engine::open(place.settings()?).await?;
    let plugins = match &house.tenant {
        None => engine.plugins().await?,
        Some(name) => {
            let tenant = engine.directory().tenant(name).await?;
            engine.plugins_of(&tenant).await?
        }
    };
    Ok(serde_json::to_value(plugins)?)
}
