//! Guests, loaded and opened as a job does.

use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, BooleanArray};
use exeat_gate::{ColumnType, FieldSelection, Gate, catalog};
use exeat_sandbox::compiler::{CompileLimits, Compiler};
use exeat_sandbox::{
    Chain, CodeCache, JobContext, KeyMaterial, OfferedColumn, Plugin, PluginKind, PluginLimits, PluginUse,
    Sandbox, SandboxSetup,
};
use exeat_sdk::bindings::types;
use tempfile::TempDir;

/// The transform of the benches.
pub const MASK: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/bench_mask.wasm"));
/// The adapter of the benches.
pub const NDJSON: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/bench_ndjson.wasm"));

/// The key under which everybody makes pseudonyms.
pub const KEY: [u8; 32] = [7; 32];

/// A sandbox with a cache of its own.
pub struct Workshop {
    /// The sandbox.
    pub sandbox: Sandbox,
    folder: TempDir,
    compiler: Compiler,
}

impl Workshop {
    /// One that compiles with this `exeat`.
    ///
    /// # Errors
    /// There is no room for a folder, or the sandbox does not start.
    pub fn new(exeat: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let compiler = Compiler::new(exeat.to_owned(), CompileLimits::default());
        let sandbox = sandbox(&folder, &compiler)?;
        Ok(Self {
            sandbox,
            folder,
            compiler,
        })
    }

    /// One that counts instructions.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn metered(exeat: &Path) -> anyhow::Result<Self> {
        let mut workshop = Self::new(exeat)?;
        workshop.sandbox = workshop.sandbox.metered()?;
        Ok(workshop)
    }

    /// Another sandbox with the same cache, as after a restart.
    ///
    /// # Errors
    /// The sandbox does not start.
    pub fn restarted(&self) -> anyhow::Result<Sandbox> {
        sandbox(&self.folder, &self.compiler)
    }

    /// A component, loaded.
    ///
    /// # Errors
    /// It is refused.
    pub fn load(&self, component: &[u8]) -> anyhow::Result<Plugin> {
        Ok(Plugin::load(&self.sandbox, component, PluginLimits::default())?)
    }

    /// A chain of one plugin.
    ///
    /// # Errors
    /// The plugin says no.
    pub fn open(&self, plugin: &Plugin, config: &str, selection: &FieldSelection) -> anyhow::Result<Chain> {
        open(&self.sandbox, plugin, config, selection)
    }
}

/// A chain of one plugin.
///
/// # Errors
/// The plugin says no.
pub fn open(
    sandbox: &Sandbox,
    plugin: &Plugin,
    config: &str,
    selection: &FieldSelection,
) -> anyhow::Result<Chain> {
    let used = PluginUse {
        plugin: plugin.clone(),
        config: config.to_owned(),
        limits: PluginLimits::default(),
    };
    let columns = OfferedColumn::all_of(selection);
    let job = job();
    Ok(match plugin.kind() {
        PluginKind::Transform => Chain::open(sandbox, &job, &columns, &[used], None)?,
        PluginKind::Adapter => Chain::open(sandbox, &job, &columns, &[], Some(&used))?,
    })
}

/// A gate that releases what a chain needs.
pub fn gate_of(chain: &Chain) -> Gate {
    let needs = chain.needs().iter();
    Gate::new(
        needs.filter_map(|column| catalog().field(&column.name)).collect(),
        false,
    )
}

fn job() -> JobContext {
    JobContext {
        job_id: "exp_bench".to_owned(),
        snapshot_at_us: 1_767_225_600_000_000,
        seed: 7,
        keys: KeyMaterial::Given(KEY),
    }
}

fn sandbox(folder: &TempDir, compiler: &Compiler) -> anyhow::Result<Sandbox> {
    let cache = CodeCache::open(&folder.path().join("code"), &folder.path().join("key"))?;
    Ok(Sandbox::new(SandboxSetup {
        compiler: compiler.clone(),
        cache: Some(cache),
        metered: false,
    })?)
}

/// The job of the guests that are compiled into this program.
pub fn native_job() -> types::JobContext {
    types::JobContext {
        job_id: "exp_bench".to_owned(),
        snapshot_at_us: 1_767_225_600_000_000,
        seed: 7,
        pseudonym_key: KEY.to_vec(),
    }
}

/// A selection as it is offered to such a guest.
pub fn native_offer(selection: &FieldSelection) -> Vec<types::OfferedField> {
    let offered = OfferedColumn::all_of(selection).into_iter();
    offered
        .map(|column| types::OfferedField {
            field: types::Field {
                name: column.spec.name,
                column_type: native_type(column.spec.column_type),
                nullable: column.spec.nullable,
            },
            selected: column.selected,
        })
        .collect()
}

fn native_type(column_type: ColumnType) -> types::ColumnType {
    match column_type {
        ColumnType::Boolean => types::ColumnType::Boolean,
        ColumnType::Int64 => types::ColumnType::Int64,
        ColumnType::Float64 => types::ColumnType::Float64,
        ColumnType::TimestampUs => types::ColumnType::TimestampUs,
        ColumnType::Utf8 => types::ColumnType::Utf8,
        ColumnType::Json => types::ColumnType::Json,
        ColumnType::Utf8List => types::ColumnType::Utf8List,
    }
}

/// An array as such a guest is handed it: what lowering does for one in the sandbox.
pub fn native_column(column_type: ColumnType, array: &ArrayRef) -> types::Column {
    let bits = |bits: &BooleanArray| -> Vec<u8> {
        let mut bytes = vec![0; bits.len().div_ceil(8)];
        for row in 0..bits.len() {
            bytes[row / 8] |= u8::from(bits.value(row)) << (row % 8);
        }
        bytes
    };
    let validity = (array.null_count() > 0)
        .then(|| {
            array
                .nulls()
                .map(|nulls| bits(&BooleanArray::new(nulls.inner().clone(), None)))
        })
        .flatten();
    let texts = |array: &ArrayRef| {
        let texts = array.as_string::<i32>();
        types::Utf8Values {
            offsets: texts.value_offsets().to_vec(),
            bytes: texts.value_data().to_vec(),
        }
    };
    let values = match column_type {
        ColumnType::Boolean => types::Values::Boolean(bits(array.as_boolean())),
        ColumnType::Int64 => types::Values::Int64(array.as_primitive::<Int64Type>().values().to_vec()),
        ColumnType::Float64 => types::Values::Float64(array.as_primitive::<Float64Type>().values().to_vec()),
        ColumnType::TimestampUs => {
            let times = array.as_primitive::<TimestampMicrosecondType>();
            types::Values::TimestampUs(times.values().to_vec())
        }
        ColumnType::Utf8 => types::Values::Utf8(texts(array)),
        ColumnType::Json => types::Values::Json(texts(array)),
        ColumnType::Utf8List => {
            let lists = array.as_list::<i32>();
            types::Values::Utf8List(types::Utf8ListValues {
                offsets: lists.value_offsets().to_vec(),
                values: texts(&Arc::clone(lists.values())),
            })
        }
    };
    types::Column { validity, values }
}
