//! A sandbox with guests to put into it: what tests of the sandbox share.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use arrow_array::{ArrayRef, StringArray};
use exeat_gate::{ColumnSpec, Field, Gate, RawBatch, ReleasedBatch, Schema, ShapedBatch, catalog};
use exeat_sandbox::compiler::{CompileLimits, Compiler};
use exeat_sandbox::{
    AdapterSession, Chain, ChainError, CodeCache, JobContext, KeyMaterial, LoadError, OfferedColumn,
    OpenError, Plugin, PluginFailure, PluginKind, PluginLimits, PluginUse, Sandbox, SandboxSetup,
};
use exeat_workbench::{Admitted, admit};
use tempfile::TempDir;

use crate::hostile;

/// The names of the users of a small batch.
pub const NAMES: [&str; 3] = ["Anita", "Bob", "Cho"];

/// A sandbox, and the hostile guests in Rust, which it loads once.
#[derive(Debug)]
pub struct Stage {
    sandbox: Sandbox,
    transform: OnceLock<Plugin>,
    adapter: OnceLock<Plugin>,
    _cache: Option<TempDir>,
}

/// Limits under which a guest that calculates for ever is soon stopped.
pub fn hasty() -> PluginLimits {
    PluginLimits {
        call_deadline: Duration::from_millis(200),
        ..PluginLimits::default()
    }
}

/// Limits whose deadline no guest reaches that comes to an end, however much else the machine does.
pub fn calm() -> PluginLimits {
    PluginLimits {
        call_deadline: PluginLimits::CEILING.call_deadline,
        ..PluginLimits::default()
    }
}

impl Stage {
    /// One that keeps no compiled code. `binary` is `env!("CARGO_BIN_EXE_exeat-under-test")`.
    ///
    /// # Panics
    /// The machine cannot run a sandbox.
    pub fn new(binary: &str) -> Self {
        Self::with(binary, CompileLimits::default(), None)
    }

    /// One whose compiler may take no more than this.
    pub fn with_compile_limits(binary: &str, limits: CompileLimits) -> Self {
        Self::with(binary, limits, None)
    }

    /// One that keeps compiled code, in a folder that is gone when it is dropped.
    ///
    /// # Panics
    /// There is no room for a temporary folder.
    pub fn with_cache(binary: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self::with(binary, CompileLimits::default(), Some(folder))
    }

    fn with(binary: &str, limits: CompileLimits, cache: Option<TempDir>) -> Self {
        let code_cache = cache.as_ref().map(|folder| {
            let folder = folder.path();
            CodeCache::open(&folder.join("code"), &folder.join("key")).expect("a temporary folder")
        });
        let setup = SandboxSetup {
            compiler: Compiler::new(binary.into(), limits),
            cache: code_cache,
            metered: false,
        };
        Self {
            sandbox: Sandbox::new(setup).expect("a machine that runs a sandbox"),
            transform: OnceLock::new(),
            adapter: OnceLock::new(),
            _cache: cache,
        }
    }

    /// Loads a component.
    ///
    /// # Errors
    /// It is refused.
    pub fn load(&self, component: &[u8]) -> Result<Plugin, LoadError> {
        Plugin::load(&self.sandbox, component, calm())
    }

    /// Admits a component.
    ///
    /// # Errors
    /// It is refused.
    pub fn admit(&self, component: &[u8], limits: PluginLimits) -> Result<Admitted, LoadError> {
        admit(&self.sandbox, component, limits, None)
    }

    /// The hostile transform in Rust.
    ///
    /// # Panics
    /// It is refused.
    pub fn transform(&self) -> &Plugin {
        let load = || self.load(hostile::rust_guest()).expect("it looks harmless");
        self.transform.get_or_init(load)
    }

    /// The hostile adapter in Rust.
    ///
    /// # Panics
    /// It is refused.
    pub fn adapter(&self) -> &Plugin {
        let load = || self.load(hostile::adapter_guest()).expect("it looks harmless");
        self.adapter.get_or_init(load)
    }

    /// Opens a plugin for a job with a misdeed as its configuration.
    ///
    /// # Errors
    /// It fails there already.
    pub fn open(&self, plugin: &Plugin, misdeed: &str, limits: PluginLimits) -> Result<Chain, ChainError> {
        self.open_with(&job("exp_1"), plugin, configured(misdeed), limits)
    }

    /// Opens a plugin for a job.
    ///
    /// # Errors
    /// It fails there already.
    pub fn open_with(
        &self,
        job: &JobContext,
        plugin: &Plugin,
        config: String,
        limits: PluginLimits,
    ) -> Result<Chain, ChainError> {
        let used = PluginUse {
            plugin: plugin.clone(),
            config,
            limits,
        };
        let offered = offered();
        match plugin.kind() {
            PluginKind::Transform => Chain::open(&self.sandbox, job, &offered, &[used], None),
            PluginKind::Adapter => Chain::open(&self.sandbox, job, &offered, &[], Some(&used)),
        }
    }

    /// Opens the hostile transform, which does nothing wrong until there is a batch.
    ///
    /// # Panics
    /// It fails.
    pub fn open_transform(&self, misdeed: &str, limits: PluginLimits) -> Chain {
        self.open(self.transform(), misdeed, limits)
            .expect("a misdeed that is done later")
    }

    /// Opens the hostile adapter, which does nothing wrong until there is a batch.
    ///
    /// # Panics
    /// It fails.
    pub fn open_adapter(&self, misdeed: &str, limits: PluginLimits) -> (Chain, AdapterSession) {
        let opened = self.open(self.adapter(), misdeed, limits);
        let mut chain = opened.expect("a misdeed that is done later");
        let adapter = chain.take_adapter().expect("the chain was given one");
        (chain, adapter)
    }

    /// Runs a guest that behaves: whatever was here before must have left no trace.
    ///
    /// # Panics
    /// It fails.
    pub fn still_works(&self) {
        let mut chain = self.open_transform("none", calm());
        let batch = small_batch(&chain);
        let shaped = chain.process(batch).expect("a guest that behaves");
        assert_eq!(texts(&shaped.batch, "note"), NAMES);
    }
}

/// The configuration that names a misdeed.
pub fn configured(misdeed: &str) -> String {
    format!("{{\"misdeed\": \"{misdeed}\"}}")
}

/// A job.
pub fn job(job_id: &str) -> JobContext {
    JobContext {
        job_id: job_id.to_owned(),
        snapshot_at_us: 0,
        seed: 1,
        keys: KeyMaterial::Tenant([7; 32]),
    }
}

/// The columns that every plugin is offered here: `user_id` and `name`.
///
/// # Panics
/// The catalog has lost one.
pub fn offered() -> Vec<OfferedColumn> {
    ["user_id", "name"]
        .map(|name| OfferedColumn {
            spec: field(name).spec(),
            selected: true,
        })
        .into()
}

fn field(name: &str) -> &'static Field {
    catalog().field(name).expect("a field of the catalog")
}

/// The columns that a chain needs, of three users.
///
/// # Panics
/// The chain needs something else than it was offered.
pub fn small_batch(chain: &Chain) -> ReleasedBatch {
    batch_of(chain, &NAMES)
}

/// The columns that a chain needs, of users of these names.
///
/// # Panics
/// The chain needs something else than it was offered.
pub fn batch_of(chain: &Chain, names: &[&str]) -> ReleasedBatch {
    let needs: Vec<&Field> = chain.needs().iter().map(|spec| field(&spec.name)).collect();
    let schema: Schema = needs.iter().map(|field| field.spec()).collect();
    let column = |spec: &ColumnSpec| -> ArrayRef {
        match spec.name.as_str() {
            "name" => Arc::new(StringArray::from_iter_values(names)),
            _ => Arc::new(StringArray::from_iter_values(
                (0..names.len()).map(|number| format!("usr_{number}")),
            )),
        }
    };
    let columns = schema.iter().map(column).collect();
    let raw = RawBatch::new(schema, columns, names.len()).expect("columns of one length");
    Gate::new(needs, false)
        .release(raw)
        .expect("nothing that must be held back")
}

/// The values of a column of text.
///
/// # Panics
/// There is no such column.
pub fn texts(batch: &ShapedBatch, name: &str) -> Vec<String> {
    let place = batch.schema().iter().position(|spec| spec.name == name);
    let column = &batch.columns()[place.expect("a column of the output")];
    let texts: &StringArray = column.as_any().downcast_ref().expect("a column of text");
    texts
        .iter()
        .map(|text| text.unwrap_or_default().to_owned())
        .collect()
}

/// What a plugin did when it was to be opened.
///
/// # Panics
/// It said no, and did not fail.
pub fn failure(error: ChainError) -> PluginFailure {
    match error {
        ChainError::Open {
            source: OpenError::Failed(failure),
            ..
        } => failure,
        other => panic!("this is no failure: {other}"),
    }
}

/// Does something, and tells how long it took.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begun = Instant::now();
    let done = work();
    (done, begun.elapsed())
}
