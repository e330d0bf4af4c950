//! What a component is, read off its bytes before anything of it is compiled or run.

use semver::Version;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use wasmparser::{
    ComponentExternalKind, ComponentInstance, ComponentTypeRef, Instance, Parser, Payload, Validator,
    WasmFeatures,
};

use crate::abi;
use crate::engine::{MAX_CORE_INSTANCES_PER_GUEST, MAX_MEMORIES_PER_GUEST, MAX_TABLES_PER_GUEST};
use crate::features;
use crate::limits::PluginLimits;
use crate::plugin::PluginKind;
use crate::refusal::{Refusal, RefusalCode};
use crate::store::printable;
use crate::wasi;

/// Largest component. A Python guest has 18 MB.
pub const MAX_COMPONENT_BYTES: usize = 32 << 20;

/// Functions of all modules together; a Python guest has some 20,000. Each takes the compiler time.
const MAX_FUNCTIONS: u64 = 150_000;

/// Types of all modules and components together. The validator compares each with many others.
const MAX_TYPES: u64 = 50_000;

/// Names of a component's imports or exports that are listed.
const MAX_NAMES: usize = 64;

const WASM_PAGE_BYTES: u64 = 64 << 10;

/// What a component is, as its bytes tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// `sha256:` and the hex digest of the component.
    pub digest: String,
    /// Size of the component.
    pub bytes: u64,
    /// Transform or adapter.
    pub kind: PluginKind,
    /// Version of the contract that it was built for.
    pub contract: String,
    /// Interfaces that it imports.
    pub imports: Vec<String>,
    /// Interfaces and functions that it exports.
    pub exports: Vec<String>,
    /// What its memories hold at the start, together.
    pub initial_memory_bytes: u64,
    /// Elements of its longest table at the start.
    pub initial_table_elements: u64,
    /// Functions of all its modules.
    pub functions: u64,
}

/// The sha256 of a component, as manifests and records name it.
pub fn digest(component: &[u8]) -> String {
    let hex = Sha256::digest(component);
    let mut digest = "sha256:".to_owned();
    for byte in hex {
        digest.push_str(&format!("{byte:02x}"));
    }
    digest
}

/// What the sections of a component say, collected in one pass.
#[derive(Default)]
struct Sections {
    imports: Vec<String>,
    exports: Vec<String>,
    memory_pages: u64,
    memories: u64,
    tables: u64,
    table_elements: u64,
    core_instances: u64,
    functions: u64,
    types: u64,
}

/// Looks at a component: size, form, features, imports, world, version, what it needs at the start.
///
/// # Errors
/// The first thing that is wrong, with its code.
pub fn inspect(component: &[u8], limits: &PluginLimits) -> Result<Inspection, Refusal> {
    if component.len() > MAX_COMPONENT_BYTES {
        let message = format!(
            "the component has {} bytes; at most {MAX_COMPONENT_BYTES} (32 MiB) are taken",
            component.len()
        );
        return Err(Refusal::new(RefusalCode::TooLarge, message));
    }
    let digest = digest(component);
    // Looking through the sections takes no time; validating may. What cannot be looked through
    // is for the validator to explain.
    let sections = Sections::read(component);
    if let Ok(sections) = &sections {
        sections.check_size()?;
    }
    check_form(component)?;
    let sections = sections?;
    check_imports(&sections.imports)?;
    let (kind, contract) = world(&sections.exports)?;
    sections.check_needs(limits)?;
    let mut listed = sections.imports;
    listed.truncate(MAX_NAMES);
    let mut exports = sections.exports;
    exports.truncate(MAX_NAMES);
    Ok(Inspection {
        digest,
        bytes: component.len() as u64,
        kind,
        contract,
        imports: listed,
        exports,
        initial_memory_bytes: sections.memory_pages.saturating_mul(WASM_PAGE_BYTES),
        initial_table_elements: sections.table_elements,
        functions: sections.functions,
    })
}

/// Valid, and with no feature that guests may not use.
fn check_form(component: &[u8]) -> Result<(), Refusal> {
    if Parser::is_core_wasm(component) {
        let message = "this is a core module, not a component; exeat plugin build wraps one";
        return Err(Refusal::new(RefusalCode::CoreModule, message));
    }
    if !Parser::is_component(component) {
        let message = "this is not a WebAssembly component: it does not begin like one";
        return Err(Refusal::new(RefusalCode::NotWasm, message));
    }
    let Err(error) = Validator::new_with_features(features::ALLOWED).validate_all(component) else {
        return Ok(());
    };
    let reason = printable(error.message(), 300);
    let lenient = Validator::new_with_features(WasmFeatures::all()).validate_all(component);
    Err(match lenient {
        Ok(_) => {
            let message =
                format!("the component uses a feature of WebAssembly that guests may not use: {reason}");
            Refusal::new(RefusalCode::FeatureNotAllowed, message)
        }
        Err(_) => {
            let message = format!(
                "the component is not valid: {reason} (at byte {:#x})",
                error.offset()
            );
            Refusal::new(RefusalCode::InvalidWasm, message)
        }
    })
}

impl Sections {
    fn read(component: &[u8]) -> Result<Self, Refusal> {
        let mut sections = Self::default();
        // How deep the parser is; at 1, in the component itself.
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(component) {
            let payload = payload.map_err(|error| unreadable(&error))?;
            match payload {
                Payload::Version { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                _ => {}
            }
            sections
                .note(&payload, depth)
                .map_err(|error| unreadable(&error))?;
        }
        Ok(sections)
    }

    fn note(&mut self, payload: &Payload<'_>, depth: usize) -> wasmparser::Result<()> {
        match payload {
            Payload::ComponentImportSection(imports) if depth == 1 => {
                for import in imports.clone() {
                    let import = import?;
                    // A type that the world itself uses is no import that anybody must satisfy.
                    if !matches!(import.ty, ComponentTypeRef::Type(_)) {
                        self.imports.push(printable(import.name.name, 200));
                    }
                }
            }
            Payload::ComponentExportSection(exports) if depth == 1 => {
                for export in exports.clone() {
                    let export = export?;
                    if export.kind != ComponentExternalKind::Type {
                        self.exports.push(printable(export.name.name, 200));
                    }
                }
            }
            Payload::MemorySection(memories) => {
                for memory in memories.clone() {
                    self.memories += 1;
                    self.memory_pages = self.memory_pages.saturating_add(memory?.initial);
                }
            }
            Payload::TableSection(tables) => {
                for table in tables.clone() {
                    let table = table?;
                    self.tables += 1;
                    self.table_elements = self.table_elements.max(table.ty.initial);
                }
            }
            Payload::InstanceSection(instances) => {
                for instance in instances.clone() {
                    self.core_instances += u64::from(matches!(instance?, Instance::Instantiate { .. }));
                }
            }
            Payload::ComponentInstanceSection(instances) => {
                for instance in instances.clone() {
                    self.core_instances +=
                        u64::from(matches!(instance?, ComponentInstance::Instantiate { .. }));
                }
            }
            Payload::FunctionSection(functions) => self.functions += u64::from(functions.count()),
            Payload::TypeSection(types) => self.types += u64::from(types.count()),
            Payload::ComponentTypeSection(types) => self.types += u64::from(types.count()),
            Payload::CoreTypeSection(types) => self.types += u64::from(types.count()),
            _ => {}
        }
        Ok(())
    }

    /// What there is to validate and to compile.
    fn check_size(&self) -> Result<(), Refusal> {
        let parts = [
            ("functions", self.functions, MAX_FUNCTIONS),
            ("types", self.types, MAX_TYPES),
        ];
        for (what, count, most) in parts {
            if count > most {
                let message = format!("the component has {count} {what}; the limit is {most}");
                return Err(Refusal::new(RefusalCode::TooComplex, message));
            }
        }
        Ok(())
    }

    /// What the component declares must fit before it is compiled; what it asks for later is
    /// limited when it asks.
    fn check_needs(&self, limits: &PluginLimits) -> Result<(), Refusal> {
        let memory_bytes = self.memory_pages.saturating_mul(WASM_PAGE_BYTES);
        if memory_bytes > limits.memory_bytes as u64 {
            let message = format!(
                "the component needs {} MiB of memory at the start; the limit is {} MiB",
                memory_bytes >> 20,
                limits.memory_bytes >> 20
            );
            return Err(Refusal::new(RefusalCode::TooMuchMemory, message));
        }
        if self.table_elements > limits.table_elements as u64 {
            let message = format!(
                "the component needs a table of {} elements; the limit is {}",
                self.table_elements, limits.table_elements
            );
            return Err(Refusal::new(RefusalCode::TooLargeTable, message));
        }
        let parts = [
            ("memories", self.memories, MAX_MEMORIES_PER_GUEST),
            ("tables", self.tables, MAX_TABLES_PER_GUEST),
            ("instances", self.core_instances, MAX_CORE_INSTANCES_PER_GUEST * 2),
        ];
        for (what, count, most) in parts {
            if count > u64::from(most) {
                let message = format!("the component has {count} {what}; the limit is {most}");
                return Err(Refusal::new(RefusalCode::TooComplex, message));
            }
        }
        Ok(())
    }
}

fn unreadable(error: &wasmparser::BinaryReaderError) -> Refusal {
    let message = format!("the component is not valid: {}", printable(error.message(), 300));
    Refusal::new(RefusalCode::InvalidWasm, message)
}

/// Every import is ours, or a WASI interface behind which there is nothing.
fn check_imports(imports: &[String]) -> Result<(), Refusal> {
    let foreign: Vec<&str> = imports
        .iter()
        .map(String::as_str)
        .filter(|import| !import.starts_with("exeat:plugin/") && !wasi::is_satisfied(import))
        .collect();
    if foreign.is_empty() {
        return Ok(());
    }
    let hint = if foreign.iter().any(|import| import.starts_with("wasi:")) {
        "; build without it (componentize-qjs --stub-wasi, componentize-py -s, componentize-js --disable http)"
    } else {
        ""
    };
    let named = foreign.iter().take(8).copied().collect::<Vec<_>>().join(", ");
    let message = format!("the component imports {named}, which plugins do not get{hint}");
    Err(Refusal::new(RefusalCode::ImportNotAllowed, message))
}

/// The world and the version of the contract, before anything runs.
fn world(exports: &[String]) -> Result<(PluginKind, String), Refusal> {
    for export in exports {
        let (interface, built_for) = export.split_once('@').unwrap_or((export, "0.0.0"));
        let kind = match interface {
            "exeat:plugin/transform" => PluginKind::Transform,
            "exeat:plugin/adapter" => PluginKind::Adapter,
            _ => continue,
        };
        if built_for != abi::v0_1::VERSION {
            let minor = |version: &str| match Version::parse(version) {
                Ok(version) => format!("{}.{}", version.major, version.minor),
                Err(_) => version.to_owned(),
            };
            let runs = abi::SUPPORTED;
            let message = format!(
                "built for exeat:plugin {}; this host runs {runs}",
                minor(built_for)
            );
            return Err(Refusal::new(RefusalCode::WrongVersion, message));
        }
        return Ok((kind, built_for.to_owned()));
    }
    let message = "the component exports neither exeat:plugin/transform nor exeat:plugin/adapter";
    Err(Refusal::new(RefusalCode::NoWorld, message))
}
