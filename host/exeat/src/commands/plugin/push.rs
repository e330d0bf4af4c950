//! `exeat plugin push`: uploads a component, and waits until it is admitted.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use exeat_engine::Upload;
use indicatif::ProgressBar;
use serde_json::Value;

use super::super::actor;
use super::super::client::Client;
use super::super::house::House;
use super::{paint, workshop};
use crate::cli::{ComponentArg, HouseArgs, Place};

/// How often a server is asked whether it has admitted the component.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// How long an admission may take: longer than any compilation.
const PATIENCE: Duration = Duration::from_secs(600);

/// Uploads a component under the name and version that it gives itself.
pub(super) async fn run(place: &Place, arg: &ComponentArg, house: &HouseArgs) -> Result<ExitCode> {
    let component = workshop::read(&workshop::file(arg)?)?;
    let house = House::open(place, house).await?;
    let spinner =
        ProgressBar::new_spinner().with_message("asking the component what it is (it is compiled for that)");
    spinner.enable_steady_tick(Duration::from_millis(100));
    let bytes = component.clone();
    let described = tokio::task::spawn_blocking(move || {
        let plugin = workshop::load(&workshop::sandbox()?, &bytes)?;
        anyhow::Ok((plugin.name().to_owned(), plugin.version().to_string()))
    });
    let (name, version) = described.await??;
    spinner.set_message("waiting until it is admitted");
    let plugin = match house {
        House::Folder { engine, tenant } => {
            let upload = Upload {
                name: name.clone(),
                version: version.clone(),
                component: component.into(),
            };
            let place = engine.upload_place().await?;
            let uploaded = engine
                .upload_plugin(&tenant, &actor(), upload, place, PATIENCE)
                .await?;
            let mut plugin = serde_json::to_value(uploaded.plugin)?;
            if plugin["state"] == "admitting" {
                // An earlier push was interrupted, and left its admission to whoever comes next.
                engine.resume_admissions().await?;
            }
            let begun = Instant::now();
            while plugin["state"] == "admitting" && begun.elapsed() < PATIENCE {
                tokio::time::sleep(ASK_EVERY).await;
                plugin = serde_json::to_value(engine.own_plugin(&tenant, &name, &version).await?)?;
            }
            plugin
        }
        House::Server(client) => {
            let pushed = tokio::task::spawn_blocking(move || push(&client, &name, &version, &component));
            pushed.await??
        }
    };
    spinner.finish_and_clear();
    tell(&plugin)
}

fn push(client: &Client, name: &str, version: &str, component: &[u8]) -> Result<Value> {
    // In a query, a plus is a space.
    let query = format!("name={name}&version={}", version.replace('+', "%2B"));
    let mut answer = client.post_component(&format!("/v1/plugins?{query}"), component)?;
    let begun = Instant::now();
    while answer.status == 202 || answer.body["state"] == "admitting" {
        if begun.elapsed() > PATIENCE {
            bail!(
                "the server is still admitting {name} {version}; GET /v1/plugins/{name}/{version} tells when it is done"
            );
        }
        std::thread::park_timeout(ASK_EVERY);
        answer = client.get(&format!("/v1/plugins/{name}/{version}"))?;
    }
    Ok(answer.body)
}

fn tell(plugin: &Value) -> Result<ExitCode> {
    let text = |key: &str| {
        plugin
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    match text("state").as_str() {
        "admitted" => {
            println!(
                "{} {} {}",
                paint::good("admitted:"),
                text("name"),
                text("version")
            );
            println!("  {}", text("digest"));
            println!("next: exeat export --{} {} …", text("kind"), text("name"));
            Ok(ExitCode::SUCCESS)
        }
        state => {
            let reason = plugin["reason"]["detail"].as_str().unwrap_or_default();
            Err(anyhow!(
                "{} {} is {state}: {reason}",
                text("name"),
                text("version")
            ))
        }
    }
}
