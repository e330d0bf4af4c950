//! serde_json without a sandbox: what the work costs where nothing is in its way.

use anyhow::{Context, Result, bail};
use exeat_peers_work::{KEPT_STATE, mask, pseudonym};
use serde_json::{Map, Value as Json};

use crate::protocol::Peer;

/// Rows as a struct that is known when it is compiled: the very code that the Extism guest runs.
pub(crate) struct Typed;

impl Peer for Typed {
    fn transform(&mut self, rows: &str, out: &mut Vec<u8>) -> Result<()> {
        exeat_peers_work::transform(rows.as_bytes(), out).context("cannot transform a row")
    }
}

/// Rows as trees of values: what a program does that learns the columns when it runs.
pub(crate) struct Value;

impl Peer for Value {
    fn transform(&mut self, rows: &str, out: &mut Vec<u8>) -> Result<()> {
        for line in rows.lines() {
            let row: Map<String, Json> = serde_json::from_str(line).context("a row is no JSON object")?;
            if row.get("state").and_then(Json::as_str) != Some(KEPT_STATE) {
                continue;
            }
            serde_json::to_writer(&mut *out, &exported(row)?)?;
            out.push(b'\n');
        }
        Ok(())
    }
}

/// A row with the columns that the work writes. A renamed column stays in its place, so the map is
/// built anew.
fn exported(row: Map<String, Json>) -> Result<Map<String, Json>> {
    let mut exported = Map::with_capacity(row.len());
    for (column, value) in row {
        match column.as_str() {
            "locale" => None,
            "email" => exported.insert(column, with_text(value, pseudonym)?),
            "name" => exported.insert(column, with_text(value, mask)?),
            "created_at" => exported.insert("created".to_owned(), value),
            "last_login_at" => exported.insert("last_login".to_owned(), value),
            _ => exported.insert(column, value),
        };
    }
    Ok(exported)
}

/// A text as `change` makes it; null stays null.
fn with_text(value: Json, change: fn(&str) -> String) -> Result<Json> {
    match value {
        Json::Null => Ok(Json::Null),
        Json::String(text) => Ok(Json::String(change(&text))),
        other => bail!("expected text or null, not {other}"),
    }
}
