//! `exeat-peers-component GUEST INPUT`: the component model as one uses it first, a call for each
//! row. Speaks the protocol of the other peers. Rows are records before the clock starts: what is
//! measured is the call.

use std::fs;
use std::io::{BufRead as _, Write as _};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde_json::json;
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, Store};

mod bindings {
    wasmtime::component::bindgen!({ world: "per-row", path: "../component-guest/row.wit" });
}

use bindings::{PerRow, Row};

const NAME: &str = "component-row";

/// How often the guest is looked at for a deadline, as the engine does.
const EPOCH_TICK: Duration = Duration::from_millis(10);

#[derive(Deserialize)]
struct Line {
    user_id: String,
    email: Option<String>,
    email_verified: Option<bool>,
    username: Option<String>,
    name: Option<String>,
    given_name: Option<String>,
    family_name: Option<String>,
    state: String,
    locale: Option<String>,
    created_at: Option<String>,
    logins_count: Option<i64>,
    last_login_at: Option<String>,
}

impl From<Line> for Row {
    fn from(line: Line) -> Self {
        Self {
            user_id: line.user_id,
            email: line.email,
            email_verified: line.email_verified,
            username: line.username,
            name: line.name,
            given_name: line.given_name,
            family_name: line.family_name,
            state: line.state,
            locale: line.locale,
            created_at: line.created_at,
            logins_count: line.logins_count,
            last_login_at: line.last_login_at,
        }
    }
}

/// wasmtime's errors as everybody's.
fn plain(error: wasmtime::Error) -> anyhow::Error {
    anyhow::anyhow!("{error:#}")
}

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(guest), Some(input)) = (args.next(), args.next()) else {
        bail!("exeat-peers-component GUEST INPUT");
    };
    let text = fs::read_to_string(&input).with_context(|| format!("cannot read {input}"))?;
    let rows: Vec<Row> = text
        .lines()
        .map(|line| Ok(serde_json::from_str::<Line>(line)?.into()))
        .collect::<Result<_>>()?;
    let mut config = Config::new();
    config.epoch_interruption(true).concurrency_support(false);
    let engine = Engine::new(&config).map_err(plain)?;
    let component = Component::from_file(&engine, &guest).map_err(plain)?;
    let mut store = Store::new(&engine, ());
    store.set_epoch_deadline(u64::MAX / 2);
    let clock = engine.clone();
    std::thread::spawn(move || {
        loop {
            std::thread::park_timeout(EPOCH_TICK);
            clock.increment_epoch();
        }
    });
    let linker = Linker::new(&engine);
    let world = PerRow::instantiate(&mut store, &component, &linker).map_err(plain)?;

    let mut answers = std::io::stdout().lock();
    let ready = json!({"ready": true, "rows": rows.len(), "peers": [NAME]});
    writeln!(answers, "{ready}")?;
    answers.flush()?;
    for ask in std::io::stdin().lock().lines() {
        let ask = ask?;
        let count = ask.strip_prefix(NAME).and_then(|count| count.trim().parse().ok());
        let answer = match count.and_then(|count: usize| rows.get(..count)) {
            None => json!({"peer": NAME, "error": format!("there is nothing like \"{ask}\" here")}),
            Some(rows) => {
                let mut out = Vec::with_capacity(rows.len());
                let begun = Instant::now();
                for row in rows {
                    let exported = world.call_transform(&mut store, row).map_err(plain)?;
                    out.extend(exported);
                }
                let taken = begun.elapsed();
                json!({"peer": NAME, "rows": rows.len(), "rows_out": out.len(), "ns": taken.as_nanos()})
            }
        };
        writeln!(answers, "{answer}")?;
        answers.flush()?;
    }
    Ok(())
}
