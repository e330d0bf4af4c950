//! A plugin that is ready to be opened: inspected, compiled, linked and described.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use semver::Version;
use thiserror::Error;
use wasmtime::component::InstancePre;

use crate::abi::v0_1;
use crate::code_cache::TrustedCode;
use crate::compiler::CompileError;
use crate::engine::Sandbox;
use crate::error::{Cause, PluginFailure};
use crate::figures::Recorder;
use crate::inspect::{Inspection, inspect};
use crate::limits::PluginLimits;
use crate::refusal::{Refusal, RefusalCode};
use crate::store::{GuestStore, JobState, printable};
use crate::wasi::{self, Surroundings};

/// Longest schema of a configuration, in bytes.
const MAX_CONFIG_SCHEMA_BYTES: usize = 256 << 10;

/// What a plugin does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PluginKind {
    /// Changes rows.
    Transform,
    /// Renders rows in a destination's import format.
    Adapter,
}

impl PluginKind {
    /// As it stands in records and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Transform => "transform",
            Self::Adapter => "adapter",
        }
    }
}

/// A component that keeps the contract, compiled.
#[derive(Clone)]
pub struct Plugin(Arc<Loaded>);

struct Loaded {
    inspection: Inspection,
    name: String,
    version: Version,
    summary: String,
    config_schema: String,
    compiled_in: Option<Duration>,
    pre: InstancePre<JobState>,
    indices: v0_1::Indices,
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Plugin").field(&self.label()).finish()
    }
}

/// A file did not become a plugin.
#[derive(Debug, Error)]
pub enum LoadError {
    /// It is no plugin that this host can run.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// This host could not look. A host fault.
    #[error("the sandbox cannot do its part")]
    Host(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Plugin {
    /// Inspects a component, compiles it (or finds its code in the cache), checks its world and
    /// asks it what it is. Blocks.
    ///
    /// # Errors
    /// The bytes are no component, or not one that keeps the contract.
    pub fn load(sandbox: &Sandbox, component: &[u8], limits: PluginLimits) -> Result<Self, LoadError> {
        let inspection = inspect(component, &limits)?;
        let begun = Instant::now();
        let code = TrustedCode::of(sandbox, &inspection.digest, component).map_err(compile_error)?;
        let compiled_in = (!code.cached).then(|| begun.elapsed());
        let text = |error: wasmtime::Error| printable(&format!("{error:#}"), limits.message_bytes);
        let refused = |code, message: String| LoadError::from(Refusal::new(code, message));
        // What the engine's pool cannot hold turns up here.
        let component = code.load(sandbox).map_err(|error| {
            let message = format!(
                "the component takes more instances, memories or tables than a guest may have: {}",
                text(error)
            );
            refused(RefusalCode::TooComplex, message)
        })?;
        let wrong_world = |error| {
            let message = format!("the component does not fit its world: {}", text(error));
            refused(RefusalCode::WrongWorld, message)
        };
        let mut linker = (*sandbox.linker).clone();
        wasi::link(sandbox, &mut linker, &component).map_err(wrong_world)?;
        let pre = linker.instantiate_pre(&component).map_err(wrong_world)?;
        let indices = v0_1::Indices::find(inspection.kind, &pre).map_err(wrong_world)?;
        let mut loaded = Loaded {
            inspection,
            name: "of unknown name".to_owned(),
            version: Version::new(0, 0, 0),
            summary: String::new(),
            config_schema: String::new(),
            compiled_in,
            pre,
            indices,
        };
        loaded.describe(sandbox, limits)?;
        Ok(Self(Arc::new(loaded)))
    }

    /// What its bytes tell.
    pub fn inspection(&self) -> &Inspection {
        &self.0.inspection
    }

    /// What it does.
    pub fn kind(&self) -> PluginKind {
        self.0.inspection.kind
    }

    /// `sha256:` and the hex digest of the component.
    pub fn digest(&self) -> &str {
        &self.0.inspection.digest
    }

    /// Name: lower-case letters, digits and hyphens.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Version.
    pub fn version(&self) -> &Version {
        &self.0.version
    }

    /// What it does, in a sentence.
    pub fn summary(&self) -> &str {
        &self.0.summary
    }

    /// JSON Schema of its configuration.
    pub fn config_schema(&self) -> &str {
        &self.0.config_schema
    }

    /// How long compiling took; nothing if its code came out of the cache.
    pub fn compiled_in(&self) -> Option<Duration> {
        self.0.compiled_in
    }

    /// Name and version, for messages.
    pub fn label(&self) -> String {
        format!("{} {}", self.0.name, self.0.version)
    }

    /// A fresh instance in a store of its own.
    pub(crate) fn instantiate(&self, store: &mut GuestStore) -> Result<v0_1::Guest, PluginFailure> {
        store
            .call(|store| v0_1::Guest::instantiate(store, &self.0.pre, &self.0.indices))
            .map_err(|cause| self.failure(None, None, cause))
    }

    pub(crate) fn failure(&self, batch: Option<u64>, row: Option<u32>, cause: Cause) -> PluginFailure {
        PluginFailure {
            plugin: self.label(),
            batch,
            row,
            cause: Box::new(cause),
        }
    }
}

fn compile_error(error: CompileError) -> LoadError {
    let code = match &error {
        CompileError::Refused(_) => RefusalCode::CompileFailed,
        CompileError::Time(_) => RefusalCode::CompileTime,
        CompileError::BrokeDown(_) => RefusalCode::CompileBrokeDown,
        CompileError::Start(_) => return LoadError::Host(error.into()),
    };
    let message = error.to_string();
    Refusal::new(code, message.replacen("it ", "the component ", 1)).into()
}

impl Loaded {
    /// Asks the guest what it is: in one instance twice, and in another once.
    fn describe(&mut self, sandbox: &Sandbox, limits: PluginLimits) -> Result<(), LoadError> {
        let places = sandbox.places.take(1);
        let _place = places.ok_or_else(|| LoadError::Host("too many plugins are at work".into()))?;
        let ask = || {
            let recorder = Recorder::nobody();
            let mut store = GuestStore::new(sandbox, limits, Surroundings::new(0, 0), &recorder);
            let guest = store.call(|store| v0_1::Guest::instantiate(store, &self.pre, &self.indices))?;
            let first = store.call(|store| guest.describe(store))?;
            let second = store.call(|store| guest.describe(store))?;
            Ok::<_, Cause>((first, second))
        };
        let asked = ask().and_then(|(first, second)| Ok((first, second, ask()?.0)));
        let (described, again, elsewhere) = asked.map_err(|cause| {
            let message = format!("the component cannot say what it is: {cause}");
            Refusal::new(RefusalCode::DescribeFailed, message)
        })?;
        if described != again || described != elsewhere {
            let message = "the component describes itself differently each time it is asked";
            return Err(Refusal::new(RefusalCode::NotReproducible, message).into());
        }
        let invalid = |what: String| {
            let message = format!("the component describes itself wrongly: {what}");
            Refusal::new(RefusalCode::InvalidDescription, message)
        };
        if !is_plugin_name(&described.name) {
            let what = "its name is not lower-case letters, digits and hyphens, at most 64";
            return Err(invalid(what.to_owned()).into());
        }
        if described.version.len() > 64 {
            return Err(invalid("its version is too long".to_owned()).into());
        }
        self.version = Version::parse(&described.version)
            .map_err(|error| invalid(format!("its version is not a semantic version: {error}")))?;
        check_config_schema(&described.config_schema)?;
        self.name = described.name;
        self.summary = printable(&described.summary, limits.message_bytes);
        self.config_schema = described.config_schema;
        Ok(())
    }
}

/// The schema of a configuration is a JSON Schema (2020-12), of a finite size.
fn check_config_schema(schema: &str) -> Result<(), Refusal> {
    let refuse = |what: String| {
        let message = format!("the schema of the configuration {what}");
        Err(Refusal::new(RefusalCode::InvalidConfigSchema, message))
    };
    if schema.len() > MAX_CONFIG_SCHEMA_BYTES {
        return refuse(format!("has more than {MAX_CONFIG_SCHEMA_BYTES} bytes"));
    }
    let schema = match serde_json::from_str(schema) {
        Ok(schema @ serde_json::Value::Object(_)) => schema,
        Ok(_) => return refuse("is not a JSON object".to_owned()),
        Err(error) => return refuse(format!("is not JSON: {error}")),
    };
    match jsonschema::meta::validate(&schema) {
        Ok(()) => Ok(()),
        Err(error) => {
            let pointer = printable(&error.instance_path().to_string(), 200);
            refuse(format!("is not a valid JSON Schema at \"{pointer}\""))
        }
    }
}

/// Names are safe in paths, URLs and messages.
pub fn is_plugin_name(name: &str) -> bool {
    let plain = name
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    plain && (1..=64).contains(&name.len()) && name.starts_with(|c: char| c.is_ascii_lowercase())
}
