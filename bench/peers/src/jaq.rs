//! jaq, the jq in Rust, within the process. It does what [`crate::jq`] does, and no more.

use anyhow::{Context, Result, anyhow};
use jaq_core::data::JustLut;
use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Filter, Vars, unwrap_valr};
use jaq_json::{Val, read, write};

use crate::jq::FILTER;
use crate::protocol::Peer;

/// The filter, compiled once.
pub(crate) struct Jaq(Filter<JustLut<Val>>);

impl Jaq {
    /// Compiles the filter.
    pub(crate) fn compile() -> Result<Self> {
        let definitions = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
        let functions = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
        let arena = Arena::default();
        let program = File {
            code: FILTER,
            path: (),
        };
        let modules = Loader::new(definitions)
            .load(&arena, program)
            .map_err(|errors| anyhow!("jaq cannot read the filter: {errors:?}"))?;
        let filter = Compiler::default()
            .with_funs(functions)
            .compile(modules)
            .map_err(|errors| anyhow!("jaq cannot compile the filter: {errors:?}"))?;
        Ok(Self(filter))
    }
}

impl Peer for Jaq {
    fn transform(&mut self, rows: &str, out: &mut Vec<u8>) -> Result<()> {
        let style = write::Pp::default();
        for line in rows.lines() {
            let row = read::parse_single(line.as_bytes()).context("a row is no JSON")?;
            let context = Ctx::<JustLut<Val>>::new(&self.0.lut, Vars::new([]));
            for exported in self.0.id.run((context, row)).map(unwrap_valr) {
                let exported = exported.map_err(|error| anyhow!("the filter failed: {error}"))?;
                write::write(&mut *out, &style, 0, &exported).context("cannot write a row")?;
                out.push(b'\n');
            }
        }
        Ok(())
    }
}
