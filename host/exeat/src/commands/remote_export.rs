//! `exeat export --server`: the server runs the export, and its files come here.

use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use exeat_engine::{EngineError, ExportFailure, ExportRequest};
use exeat_vault::{Draft, FileEntry, FileWriter, Target};
use indicatif::{HumanBytes, HumanCount, ProgressBar};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::client::{Client, is_passing};
use super::house::ask;

/// How often the server is asked how far it is.
const ASK_EVERY: Duration = Duration::from_millis(500);

/// How often a question is asked, or a download taken up, without an answer or a byte between.
const MAX_TRIES: u32 = 8;

/// Rest after the first try; each further one is longer by it.
const PAUSE: Duration = Duration::from_secs(1);

const CHUNK_BYTES: usize = 64 << 10;

/// What stands where a tenant's name would: the server knows which it is.
const THEIRS: &str = "server";

/// Has the server run an export, and brings its files to a path. If `cancel` is cancelled, so is the
/// export.
pub(super) async fn run(
    client: &Client,
    request: &ExportRequest,
    target: &Target,
    bar: &ProgressBar,
    cancel: &CancellationToken,
) -> Result<()> {
    // Before anything is asked for: a path that cannot be written is no reason to export.
    let key = exeat_directory::jobs::new_job_id();
    let (vault, staging) = target.staging(&key)?;
    let staging = Staging(staging);
    let asked = serde_json::to_value(request)?;
    // Under one key it is one export, however often it is asked for.
    let created = patiently(client, cancel, move |client| {
        client.post_once("/v1/exports", &key, &asked)
    });
    let created = created.await?.body;
    let id = created["id"]
        .as_str()
        .context("the server's answer has no id")?
        .to_owned();
    let export = match ended(client, &id, bar, cancel).await {
        Err(error) if cancel.is_cancelled() => {
            let path = format!("/v1/exports/{id}/cancel");
            // It may have ended by itself.
            let _ = ask(client.clone(), move |client| client.post(&path)).await;
            return Err(error);
        }
        export => export?,
    };
    let path = format!("/v1/exports/{id}/manifest");
    let manifest = patiently(client, cancel, move |client| client.get(&path));
    let mut manifest = manifest.await?.body;
    let draft = vault.draft(THEIRS, &id, 1)?;
    let files = fetch_all(client, &export, &draft, bar, cancel).await?;
    manifest["files"] = serde_json::to_value(target.named(&files))?;
    draft.deliver(target, &files, &serde_json::to_vec_pretty(&manifest)?)?;
    drop((draft, staging));
    bar.finish_and_clear();
    let bytes: u64 = files.iter().map(|file| file.bytes).sum();
    eprintln!(
        "{} rows, {} -> {}",
        HumanCount(manifest["rows"]["written"].as_u64().unwrap_or_default()),
        HumanBytes(bytes),
        target.path().display()
    );
    Ok(())
}

fn interrupted() -> anyhow::Error {
    EngineError::Export(ExportFailure::Cancelled).into()
}

/// Asks until there is an answer, or a refusal: a server may be restarted meanwhile.
async fn patiently<T: Send + 'static>(
    client: &Client,
    cancel: &CancellationToken,
    question: impl Fn(&Client) -> Result<T> + Clone + Send + 'static,
) -> Result<T> {
    let mut tries = 0;
    loop {
        let asked = ask(client.clone(), question.clone());
        let answer = tokio::select! {
            answer = asked => answer,
            () = cancel.cancelled() => return Err(interrupted()),
        };
        tries += 1;
        match answer {
            Err(error) if tries < MAX_TRIES && is_passing(&error) => {
                tokio::time::sleep(PAUSE * tries).await;
            }
            answer => return answer,
        }
    }
}

/// Waits for the export's end.
async fn ended(client: &Client, id: &str, bar: &ProgressBar, cancel: &CancellationToken) -> Result<Value> {
    loop {
        let path = format!("/v1/exports/{id}");
        let export = patiently(client, cancel, move |client| client.get(&path))
            .await?
            .body;
        let progress = &export["progress"];
        bar.set_length(progress["rows_total"].as_u64().unwrap_or_default());
        bar.set_position(progress["rows_done"].as_u64().unwrap_or_default());
        match export["state"].as_str() {
            Some("completed") => return Ok(export),
            Some("queued" | "running") => {}
            state => {
                let error = &export["error"];
                let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
                bail!(
                    "the export {id} is {}: {} ({})",
                    state.unwrap_or("unknown"),
                    text("detail"),
                    text("code")
                );
            }
        }
        tokio::select! {
            () = tokio::time::sleep(ASK_EVERY) => {}
            () = cancel.cancelled() => return Err(interrupted()),
        }
    }
}

async fn fetch_all(
    client: &Client,
    export: &Value,
    draft: &Draft,
    bar: &ProgressBar,
    cancel: &CancellationToken,
) -> Result<Vec<FileEntry>> {
    let files = export["files"].as_array().cloned().unwrap_or_default();
    let sizes = files.iter().filter_map(|file| file["bytes"].as_u64());
    bar.set_length(sizes.sum());
    bar.set_position(0);
    bar.set_message("bytes of its files");
    let mut fetched = Vec::with_capacity(files.len());
    for file in files {
        let href = file["href"].as_str().context("a file without a path")?.to_owned();
        let wanted: FileEntry = serde_json::from_value(file)?;
        let mut writer = draft
            .file(&wanted.name, &wanted.media_type, &wanted.compression)
            .await?;
        fetch(client, &href, &wanted, &mut writer, bar, cancel).await?;
        let entry = writer.finish().await?;
        if entry.sha256 != wanted.sha256 {
            bail!(
                "{} arrived changed: its SHA-256 is not the manifest's",
                wanted.name
            );
        }
        fetched.push(entry);
    }
    Ok(fetched)
}

/// Brings a file here, and goes on where it breaks off.
async fn fetch(
    client: &Client,
    href: &str,
    wanted: &FileEntry,
    writer: &mut FileWriter,
    bar: &ProgressBar,
    cancel: &CancellationToken,
) -> Result<()> {
    let (mut have, mut tries) = (0, 0);
    while have < wanted.bytes {
        let path = href.to_owned();
        let opened = ask(client.clone(), move |client| client.download(&path, have)).await;
        let mut broken = None;
        match opened {
            Err(error) => broken = Some(error),
            Ok(mut reader) => loop {
                if cancel.is_cancelled() {
                    return Err(interrupted());
                }
                let read = tokio::task::spawn_blocking(move || {
                    let mut chunk = vec![0; CHUNK_BYTES];
                    let read = reader.read(&mut chunk);
                    (reader, chunk, read)
                });
                let (back, mut chunk, read) = tokio::select! {
                    read = read => read?,
                    () = cancel.cancelled() => return Err(interrupted()),
                };
                reader = back;
                match read {
                    Ok(0) => break,
                    Ok(bytes) => {
                        chunk.truncate(bytes);
                        writer.write(&chunk).await?;
                        have += bytes as u64;
                        bar.inc(bytes as u64);
                        tries = 0;
                    }
                    Err(error) => {
                        broken = Some(error.into());
                        break;
                    }
                }
            },
        }
        if have < wanted.bytes {
            tries += 1;
            if tries >= MAX_TRIES {
                let error = broken.unwrap_or_else(|| anyhow!("the server sends no more"));
                return Err(error.context(format!("{} cannot be downloaded", wanted.name)));
            }
            tokio::time::sleep(PAUSE * tries).await;
        }
    }
    Ok(())
}

/// The folder of what is half here, removed however this ends.
struct Staging(PathBuf);

impl Drop for Staging {
    fn drop(&mut self) {
        // What cannot be removed now is a hidden folder that nobody takes for an export.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
