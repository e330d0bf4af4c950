//! What stands behind the WASI imports that toolchains leave in a guest: nothing. No file, no
//! network, no environment; a clock that is the job's and ticks, numbers that the job's seed
//! gives, and a standard error that ends in the plugin's log. So the output stays reproducible.
//!
//! Written against the types that a component itself declares, so that any 0.2.x will do. Every
//! function answers at once: unlike a real implementation, nothing here waits, sleeps or blocks,
//! where no epoch could interrupt it.

use wasmtime::StoreContextMut;
use wasmtime::component::types::{ComponentFunc, ComponentItem, Type};
use wasmtime::component::{Component, Linker, Resource, ResourceAny, ResourceType, Val};

use crate::engine::Sandbox;
use crate::store::{JobState, LogLevel};

/// The packages whose interfaces stand here. Whatever else a component imports is refused.
pub(crate) const PACKAGES: [&str; 5] = [
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:io/",
    "wasi:random/",
];

/// Random bytes of one call.
const MAX_RANDOM_BYTES: u64 = 64 << 10;

/// What an output stream says it takes at once.
const WRITE_BYTES: u64 = 4_096;

/// Nanoseconds between two looks at the clock.
const TICK_NS: u64 = 1_000;

/// Ways in which interfaces say no to an access.
const NO: [&str; 3] = ["access", "not-permitted", "unsupported"];

/// Any resource of WASI: there is nothing behind it.
struct Denied;

/// What the number behind a resource says.
const NOTHING: u32 = 0;
const STDERR: u32 = 1;

/// The guest's clock and its random numbers.
pub(crate) struct Surroundings {
    wall_ns: u64,
    monotonic_ns: u64,
    random: u64,
    stderr: Vec<u8>,
}

impl Surroundings {
    /// Those of a job.
    pub(crate) fn new(snapshot_at_us: i64, seed: u64) -> Self {
        Self {
            wall_ns: u64::try_from(snapshot_at_us)
                .unwrap_or_default()
                .saturating_mul(1_000),
            // Some runtimes take 0 for "no clock".
            monotonic_ns: TICK_NS,
            random: seed | 1,
            stderr: Vec::new(),
        }
    }

    fn wall_ns(&mut self) -> u64 {
        self.wall_ns = self.wall_ns.wrapping_add(TICK_NS);
        self.wall_ns
    }

    fn monotonic_ns(&mut self) -> u64 {
        self.monotonic_ns = self.monotonic_ns.wrapping_add(TICK_NS);
        self.monotonic_ns
    }

    /// SplitMix64: fair enough for hash tables, and the same in every attempt.
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Satisfies every WASI import of a component.
pub(crate) fn link(
    sandbox: &Sandbox,
    linker: &mut Linker<JobState>,
    component: &Component,
) -> wasmtime::Result<()> {
    let component = component.component_type();
    for (interface, import) in component.imports(&sandbox.engine) {
        let ComponentItem::ComponentInstance(instance) = import.ty else {
            continue;
        };
        if !is_satisfied(interface) {
            continue;
        }
        let mut linked = linker.instance(interface)?;
        for (name, item) in instance.exports(&sandbox.engine) {
            match item.ty {
                ComponentItem::Resource(_) => {
                    linked.resource(name, ResourceType::host::<Denied>(), |_, _| Ok(()))?;
                }
                ComponentItem::ComponentFunc(_) => {
                    let place = format!("{}#{name}", interface.split('@').next().unwrap_or(interface));
                    linked.func_new(name, move |store, ty, params, results| {
                        answer(store, &place, &ty, params, results)
                    })?;
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Whether an import of this name is answered here.
pub(crate) fn is_satisfied(interface: &str) -> bool {
    PACKAGES.iter().any(|package| interface.starts_with(package))
}

fn answer(
    mut store: StoreContextMut<'_, JobState>,
    place: &str,
    ty: &ComponentFunc,
    params: &[Val],
    results: &mut [Val],
) -> wasmtime::Result<()> {
    if let (Some(slot), Some(ty)) = (results.first_mut(), ty.results().next()) {
        *slot = value(&mut store, place, &ty, params)?;
    } else if place.starts_with("wasi:cli/exit#") {
        wasmtime::bail!("the guest exited");
    }
    // A borrowed handle must be given back before the call ends. To look into one gives it back.
    let looked_into = usize::from(is_write(place));
    params
        .iter()
        .skip(looked_into)
        .try_for_each(|param| give_back(&mut store, param))
}

fn value(
    store: &mut StoreContextMut<'_, JobState>,
    place: &str,
    ty: &Type,
    params: &[Val],
) -> wasmtime::Result<Val> {
    let state = &mut store.data_mut().surroundings;
    Ok(match place {
        "wasi:clocks/wall-clock#now" => instant(state.wall_ns()),
        "wasi:clocks/wall-clock#resolution" => instant(TICK_NS),
        "wasi:clocks/monotonic-clock#now" => Val::U64(state.monotonic_ns()),
        "wasi:clocks/monotonic-clock#resolution" => Val::U64(TICK_NS),
        "wasi:random/random#get-random-u64" | "wasi:random/insecure#get-insecure-random-u64" => {
            Val::U64(state.random())
        }
        "wasi:random/random#get-random-bytes" | "wasi:random/insecure#get-insecure-random-bytes" => {
            match params {
                [Val::U64(length)] if *length <= MAX_RANDOM_BYTES => {
                    Val::List((0..*length).map(|_| Val::U8(state.random() as u8)).collect())
                }
                _ => wasmtime::bail!("the guest asks for too many random bytes at once"),
            }
        }
        "wasi:random/insecure-seed#insecure-seed" => {
            Val::Tuple(vec![Val::U64(state.random()), Val::U64(state.random())])
        }
        "wasi:cli/stderr#get-stderr" => resource(store, STDERR)?,
        "wasi:io/streams#[method]output-stream.check-write" => ok(Some(Val::U64(WRITE_BYTES))),
        _ if is_write(place) => {
            write(store, params)?;
            ok(None)
        }
        "wasi:io/streams#[method]output-stream.flush"
        | "wasi:io/streams#[method]output-stream.blocking-flush"
        | "wasi:io/streams#[method]output-stream.write-zeroes"
        | "wasi:io/streams#[method]output-stream.blocking-write-zeroes-and-flush" => ok(None),
        "wasi:io/poll#poll" => match params {
            [Val::List(waiting)] => Val::List((0..waiting.len() as u32).map(Val::U32).collect()),
            _ => Val::List(Vec::new()),
        },
        "wasi:io/poll#[method]pollable.ready" => Val::Bool(true),
        _ => nothing(store, place, ty)?,
    })
}

/// An answer that says "there is none", as the type allows.
fn nothing(store: &mut StoreContextMut<'_, JobState>, place: &str, ty: &Type) -> wasmtime::Result<Val> {
    Ok(match ty {
        Type::List(_) => Val::List(Vec::new()),
        Type::Option(_) => Val::Option(None),
        Type::String => Val::String(String::new()),
        Type::Own(_) => resource(store, NOTHING)?,
        Type::Result(result) => match result.err() {
            Some(Type::Enum(codes)) => {
                let no = codes.names().find(|name| NO.contains(name));
                match no {
                    Some(no) => error(Val::Enum(no.to_owned())),
                    None => wasmtime::bail!("the guest calls {place}, which there is not"),
                }
            }
            Some(Type::Variant(cases)) if cases.cases().any(|case| case.name == "closed") => {
                error(Val::Variant("closed".to_owned(), None))
            }
            _ => wasmtime::bail!("the guest calls {place}, which there is not"),
        },
        _ => wasmtime::bail!("the guest calls {place}, which there is not"),
    })
}

fn instant(ns: u64) -> Val {
    Val::Record(vec![
        ("seconds".to_owned(), Val::U64(ns / 1_000_000_000)),
        ("nanoseconds".to_owned(), Val::U32((ns % 1_000_000_000) as u32)),
    ])
}

fn ok(value: Option<Val>) -> Val {
    Val::Result(Ok(value.map(Box::new)))
}

fn error(value: Val) -> Val {
    Val::Result(Err(Some(Box::new(value))))
}

fn resource(store: &mut StoreContextMut<'_, JobState>, rep: u32) -> wasmtime::Result<Val> {
    let resource = Resource::<Denied>::new_own(rep);
    Ok(Val::Resource(ResourceAny::try_from_resource(resource, store)?))
}

/// Whether a call writes bytes to an output stream, its first parameter.
fn is_write(place: &str) -> bool {
    let writes = [
        "wasi:io/streams#[method]output-stream.write",
        "wasi:io/streams#[method]output-stream.blocking-write-and-flush",
    ];
    writes.contains(&place)
}

/// What is written to standard error ends in the log, line by line.
fn write(store: &mut StoreContextMut<'_, JobState>, params: &[Val]) -> wasmtime::Result<()> {
    let [Val::Resource(stream), Val::List(bytes)] = params else {
        return Ok(());
    };
    let stream = stream.try_into_resource::<Denied>(&mut *store)?;
    if stream.rep() != STDERR {
        return Ok(());
    }
    let bytes = bytes.iter().filter_map(|byte| match byte {
        Val::U8(byte) => Some(*byte),
        _ => None,
    });
    store.data_mut().write_stderr(bytes);
    Ok(())
}

fn give_back(store: &mut StoreContextMut<'_, JobState>, param: &Val) -> wasmtime::Result<()> {
    match param {
        Val::Resource(resource) => resource.resource_drop(store),
        Val::List(items) => items.iter().try_for_each(|item| give_back(store, item)),
        _ => Ok(()),
    }
}

impl JobState {
    fn write_stderr(&mut self, bytes: impl Iterator<Item = u8>) {
        for byte in bytes {
            if byte == b'\n' || self.surroundings.stderr.len() == self.limits().log_line_bytes {
                self.end_stderr_line();
            }
            if byte != b'\n' {
                self.surroundings.stderr.push(byte);
            }
        }
    }

    /// Hands what stands in an unfinished line to the log.
    pub(crate) fn end_stderr_line(&mut self) {
        let line = std::mem::take(&mut self.surroundings.stderr);
        if !line.is_empty() {
            self.log(LogLevel::Error, &String::from_utf8_lossy(&line));
        }
    }
}
