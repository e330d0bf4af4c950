//! The same row work in the tools that people would use instead, behind one protocol: see README.md.

mod digest;
mod jaq;
mod jq;
mod native;
mod protocol;
mod vrl;

use std::{env, io};

use anyhow::{Context, Result};

use crate::protocol::Peer;

/// What one name on the protocol stands for, and how it is set up.
type Setup = (&'static str, fn() -> Result<Box<dyn Peer>>);

const PEERS: [Setup; 5] = [
    ("serde-typed", || Ok(Box::new(native::Typed))),
    ("serde-value", || Ok(Box::new(native::Value))),
    ("vrl", || Ok(Box::new(vrl::Vrl::compile()?))),
    ("jaq", || Ok(Box::new(jaq::Jaq::compile()?))),
    ("jq", || Ok(Box::new(jq::Jq))),
];

fn main() -> Result<()> {
    let path = env::args_os().nth(1).context("usage: exeat-peers INPUT.ndjson")?;
    let rows = protocol::Rows::read(path.as_ref())?;
    protocol::serve(&rows, &PEERS, io::stdin().lock(), io::stdout().lock())
}
