//! A plugin that is ready to be opened: compiled, linked and described.

use std::fmt;
use std::sync::Arc;

use semver::Version;
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use wasmtime::component::{Component, InstancePre};

use crate::abi::{self, v0_1};
use crate::engine::Sandbox;
use crate::error::PluginFailure;
use crate::limits::PluginLimits;
use crate::store::{GuestStore, JobState, printable};

/// What a plugin does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PluginKind {
    /// Changes rows.
    Transform,
    /// Renders rows in a destination's import format.
    Adapter,
}

/// A component that keeps the contract, compiled.
#[derive(Clone)]
pub struct Plugin(Arc<Loaded>);

struct Loaded {
    kind: PluginKind,
    digest: String,
    name: String,
    version: Version,
    summary: String,
    config_schema: String,
    pre: InstancePre<JobState>,
    indices: v0_1::Indices,
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Plugin").field(&self.label()).finish()
    }
}

/// A file is no plugin that this host can run.
#[derive(Debug, Error)]
pub enum LoadError {
    /// It is not a component.
    #[error("this is not a WebAssembly component that this host can run: {0}")]
    NotAComponent(String),
    /// It exports no world of ours.
    #[error("this component exports neither exeat:plugin/transform nor exeat:plugin/adapter")]
    NoWorld,
    /// It was built for another version of the contract.
    #[error("built for exeat:plugin {built_for}; this host runs {runs}", runs = abi::SUPPORTED)]
    Version {
        /// The version it was built for.
        built_for: String,
    },
    /// It asks for something that guests do not get, or misses a part of its world.
    #[error("this component does not fit the world: {0}")]
    World(String),
    /// It failed to say what it is.
    #[error(transparent)]
    Describe(#[from] PluginFailure),
    /// What it says of itself cannot be.
    #[error("the component describes itself wrongly: {0}")]
    Description(String),
}

impl Plugin {
    /// Compiles a component, checks its world and asks it what it is.
    ///
    /// # Errors
    /// The bytes are no component, or not one that keeps the contract.
    pub fn load(sandbox: &Sandbox, bytes: &[u8], limits: PluginLimits) -> Result<Self, LoadError> {
        let text = |error: wasmtime::Error| printable(&format!("{error:#}"), limits.message_bytes);
        let component = Component::from_binary(&sandbox.engine, bytes)
            .map_err(|error| LoadError::NotAComponent(text(error)))?;
        let kind = kind_of(&component, sandbox)?;
        let pre = sandbox
            .linker
            .instantiate_pre(&component)
            .map_err(|error| LoadError::World(text(error)))?;
        let indices = v0_1::Indices::find(kind, &pre).map_err(|error| LoadError::World(text(error)))?;
        let digest = format!("sha256:{:x}", HexDigest(&Sha256::digest(bytes)));
        let described = describe(sandbox, &pre, &indices, limits)?;
        let version = Version::parse(&described.version).map_err(|error| {
            LoadError::Description(format!("its version is not a semantic version: {error}"))
        })?;
        if !is_plugin_name(&described.name) {
            return Err(LoadError::Description(
                "its name is not lower-case letters, digits and hyphens".to_owned(),
            ));
        }
        serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&described.config_schema)
            .map_err(|error| {
                LoadError::Description(format!("its configuration schema is not a JSON object: {error}"))
            })?;
        Ok(Self(Arc::new(Loaded {
            kind,
            digest,
            name: described.name,
            version,
            summary: printable(&described.summary, limits.message_bytes),
            config_schema: described.config_schema,
            pre,
            indices,
        })))
    }

    /// What it does.
    pub fn kind(&self) -> PluginKind {
        self.0.kind
    }

    /// `sha256:` and the hex digest of the component.
    pub fn digest(&self) -> &str {
        &self.0.digest
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

    /// Name and version, for messages.
    pub fn label(&self) -> String {
        format!("{} {}", self.0.name, self.0.version)
    }

    /// A fresh instance in a store of its own.
    pub(crate) fn instantiate(
        &self,
        sandbox: &Sandbox,
        limits: PluginLimits,
    ) -> Result<(GuestStore, v0_1::Guest), PluginFailure> {
        let mut store = GuestStore::new(sandbox, limits);
        let guest = store
            .call(|store| v0_1::Guest::instantiate(store, &self.0.pre, &self.0.indices))
            .map_err(|cause| self.failure(None, None, cause))?;
        Ok((store, guest))
    }

    pub(crate) fn failure(
        &self,
        batch: Option<u64>,
        row: Option<u32>,
        cause: crate::error::Cause,
    ) -> PluginFailure {
        PluginFailure {
            plugin: self.label(),
            batch,
            row,
            cause: Box::new(cause),
        }
    }
}

/// Reads the world and its version off the exports, before anything runs.
fn kind_of(component: &Component, sandbox: &Sandbox) -> Result<PluginKind, LoadError> {
    let component = component.component_type();
    for (name, _) in component.exports(&sandbox.engine) {
        let kind = match name.split('@').next() {
            Some("exeat:plugin/transform") => PluginKind::Transform,
            Some("exeat:plugin/adapter") => PluginKind::Adapter,
            _ => continue,
        };
        let built_for = name.split_once('@').map_or("no version", |(_, version)| version);
        if built_for != v0_1::VERSION {
            return Err(LoadError::Version {
                built_for: printable(built_for, 64),
            });
        }
        return Ok(kind);
    }
    Err(LoadError::NoWorld)
}

fn describe(
    sandbox: &Sandbox,
    pre: &InstancePre<JobState>,
    indices: &v0_1::Indices,
    limits: PluginLimits,
) -> Result<abi::Description, LoadError> {
    let mut store = GuestStore::new(sandbox, limits);
    let described = store
        .call(|store| v0_1::Guest::instantiate(store, pre, indices))
        .and_then(|guest| store.call(|store| guest.describe(store)));
    described.map_err(|cause| {
        let plugin = "of unknown name".to_owned();
        LoadError::Describe(PluginFailure {
            plugin,
            batch: None,
            row: None,
            cause: Box::new(cause),
        })
    })
}

/// Names are safe in paths, URLs and messages.
fn is_plugin_name(name: &str) -> bool {
    let plain = name
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    plain && (1..=64).contains(&name.len()) && name.starts_with(|c: char| c.is_ascii_lowercase())
}

struct HexDigest<'a>(&'a [u8]);

impl fmt::LowerHex for HexDigest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
