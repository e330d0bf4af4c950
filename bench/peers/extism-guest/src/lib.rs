//! The work of the contenders as an Extism plugin: NDJSON in, NDJSON out, however many rows a call has.
#![expect(
    missing_docs,
    reason = "plugin_fn makes a function anew, without its documentation"
)]

use extism_pdk::{FnResult, input_bytes, plugin_fn};

/// Transforms the rows of one call. It takes its input itself: as an argument it would be copied once
/// more.
#[plugin_fn]
pub fn transform() -> FnResult<Vec<u8>> {
    let rows = input_bytes();
    let mut out = Vec::with_capacity(rows.len());
    exeat_peers_work::transform(&rows, &mut out)?;
    Ok(out)
}
