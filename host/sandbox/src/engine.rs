//! The engine that all plugins of a process share, and its clock.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Weak};
use std::time::Duration;

use thiserror::Error;
use wasmtime::component::Linker;
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::abi;
use crate::code_cache::CodeCache;
use crate::compiler::Compiler;
use crate::features;
use crate::places::Places;
use crate::store::JobState;

/// How often guests are looked at for their deadline.
pub(crate) const EPOCH_TICK: Duration = Duration::from_millis(10);

/// Guests that can live at once.
pub(crate) const MAX_GUESTS: u32 = 64;
/// A Python guest has 38 core instances, a QuickJS guest 3 memories.
pub(crate) const MAX_CORE_INSTANCES_PER_GUEST: u32 = 64;
pub(crate) const MAX_MEMORIES_PER_GUEST: u32 = 4;
pub(crate) const MAX_TABLES_PER_GUEST: u32 = 64;
const MAX_MEMORY_BYTES: usize = 256 << 20;
const MAX_TABLE_ELEMENTS: usize = 10_000;
const MAX_STACK_BYTES: usize = 1 << 20;
/// What instances that are gone leave behind, so that the next ones start quicker.
const WARM_SLOTS: u32 = 16;
const WARM_BYTES_PER_MEMORY: usize = 2 << 20;

/// How a sandbox is set up.
#[derive(Clone, Debug)]
pub struct SandboxSetup {
    /// Where components are compiled.
    pub compiler: Compiler,
    /// Where compiled code is kept; without one, every load compiles.
    pub cache: Option<CodeCache>,
    /// Whether instructions are counted, at some cost.
    pub metered: bool,
}

/// Where plugins run: engine, linker and epoch clock.
#[derive(Clone)]
pub struct Sandbox {
    pub(crate) engine: Engine,
    pub(crate) linker: Arc<Linker<JobState>>,
    pub(crate) places: Arc<Places>,
    pub(crate) setup: Arc<SandboxSetup>,
    /// Tells code of other settings or another wasmtime from ours.
    pub(crate) compatibility: u64,
    _clock: Arc<EpochClock>,
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sandbox")
    }
}

/// The sandbox could not be set up. A host fault.
#[derive(Debug, Error)]
#[error("the WebAssembly engine cannot start")]
pub struct SandboxError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl Sandbox {
    /// Sets up the engine and starts its clock.
    ///
    /// # Errors
    /// The machine cannot run the engine, or has too little address space for its pool.
    pub fn new(setup: SandboxSetup) -> Result<Self, SandboxError> {
        let failed = |error: wasmtime::Error| SandboxError(error.into());
        let mut config = code_config(setup.metered);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool()));
        let engine = Engine::new(&config).map_err(failed)?;
        let mut linker = Linker::new(&engine);
        abi::v0_1::link(&mut linker).map_err(failed)?;
        let clock = EpochClock::start(&engine).map_err(|error| SandboxError(error.into()))?;
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Ok(Self {
            engine,
            linker: Arc::new(linker),
            places: Places::new(MAX_GUESTS as usize),
            setup: Arc::new(setup),
            compatibility: hasher.finish(),
            _clock: clock,
        })
    }

    /// Removes the compiled code of a component.
    pub fn forget(&self, digest: &str) {
        if let Some(cache) = &self.setup.cache {
            cache.remove(digest);
        }
    }

    /// A sandbox beside this one that counts instructions.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn metered(&self) -> Result<Self, SandboxError> {
        Self::new(SandboxSetup {
            metered: true,
            ..(*self.setup).clone()
        })
    }
}

/// All that code depends on. The process that compiles has the same, without the pool.
pub(crate) fn code_config(metered: bool) -> Config {
    let mut config = Config::new();
    features::apply(&mut config);
    config
        .epoch_interruption(true)
        .consume_fuel(metered)
        .concurrency_support(false)
        // The bits of a NaN would differ between machines.
        .cranelift_nan_canonicalization(true)
        .max_wasm_stack(MAX_STACK_BYTES);
    config
}

fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(MAX_GUESTS)
        .total_core_instances(MAX_GUESTS * MAX_CORE_INSTANCES_PER_GUEST)
        .total_memories(MAX_GUESTS * MAX_MEMORIES_PER_GUEST)
        .total_tables(MAX_GUESTS * MAX_TABLES_PER_GUEST)
        .max_core_instances_per_component(MAX_CORE_INSTANCES_PER_GUEST)
        .max_memories_per_component(MAX_MEMORIES_PER_GUEST)
        .max_tables_per_component(MAX_TABLES_PER_GUEST)
        .max_memory_size(MAX_MEMORY_BYTES)
        .table_elements(MAX_TABLE_ELEMENTS)
        .max_unused_warm_slots(WARM_SLOTS)
        .linear_memory_keep_resident(WARM_BYTES_PER_MEMORY);
    pool
}

/// Advances the engine's epoch until the last sandbox is gone.
struct EpochClock;

impl EpochClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "a thread of its own, outside the runtime"
    )]
    fn start(engine: &Engine) -> std::io::Result<Arc<Self>> {
        let clock = Arc::new(Self);
        let alive: Weak<Self> = Arc::downgrade(&clock);
        let engine = engine.clone();
        std::thread::Builder::new()
            .name("epoch-clock".to_owned())
            .spawn(move || {
                while alive.strong_count() > 0 {
                    std::thread::sleep(EPOCH_TICK);
                    engine.increment_epoch();
                }
            })?;
        Ok(clock)
    }
}
