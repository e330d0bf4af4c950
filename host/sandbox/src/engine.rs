//! The engine that all plugins of a process share, and its clock.

use std::sync::{Arc, Weak};
use std::time::Duration;

use thiserror::Error;
use wasmtime::component::Linker;
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::abi;
use crate::store::JobState;

/// How often guests are looked at for their deadline.
pub(crate) const EPOCH_TICK: Duration = Duration::from_millis(10);

/// Guests that can live at once.
const MAX_INSTANCES: u32 = 64;
/// A Python guest has 38 core instances, a QuickJS guest 3 memories.
const MAX_CORE_INSTANCES_PER_GUEST: u32 = 64;
const MAX_MEMORIES_PER_GUEST: u32 = 4;
const MAX_TABLES_PER_GUEST: u32 = 64;
const MAX_MEMORY_BYTES: usize = 256 << 20;
const MAX_TABLE_ELEMENTS: usize = 10_000;
const MAX_STACK_BYTES: usize = 1 << 20;

/// Where plugins run: engine, linker and epoch clock.
#[derive(Clone)]
pub struct Sandbox {
    pub(crate) engine: Engine,
    pub(crate) linker: Arc<Linker<JobState>>,
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
    pub fn new() -> Result<Self, SandboxError> {
        let engine = Engine::new(&engine_config()).map_err(|error| SandboxError(error.into()))?;
        let mut linker = Linker::new(&engine);
        abi::v0_1::link(&mut linker).map_err(|error| SandboxError(error.into()))?;
        let clock = EpochClock::start(&engine).map_err(|error| SandboxError(error.into()))?;
        Ok(Self {
            engine,
            linker: Arc::new(linker),
            _clock: clock,
        })
    }
}

fn engine_config() -> Config {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(MAX_INSTANCES)
        .total_core_instances(MAX_INSTANCES * 4)
        .total_memories(MAX_INSTANCES * 2)
        .total_tables(MAX_INSTANCES * 4)
        .max_core_instances_per_component(MAX_CORE_INSTANCES_PER_GUEST)
        .max_memories_per_component(MAX_MEMORIES_PER_GUEST)
        .max_tables_per_component(MAX_TABLES_PER_GUEST)
        .max_memory_size(MAX_MEMORY_BYTES)
        .table_elements(MAX_TABLE_ELEMENTS)
        .linear_memory_keep_resident(4 << 20);
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .concurrency_support(false)
        .max_wasm_stack(MAX_STACK_BYTES)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
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
