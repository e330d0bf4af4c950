//! The plugins that jobs can use. Compiled when first asked for, once a process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use exeat_sandbox::{Plugin, PluginKind, PluginLimits, Sandbox};
use exeat_shipped::ShippedPlugin;
use serde::Serialize;

use crate::error::EngineError;

/// Namespace of the shipped plugins.
const SHIPPED: &str = "exeat/";

/// The shipped plugins, and those of them that are compiled.
#[derive(Debug)]
pub(crate) struct PluginCatalog {
    sandbox: Sandbox,
    compiled: Mutex<BTreeMap<&'static str, Arc<Mutex<Option<Plugin>>>>>,
}

/// A plugin as lists show it.
#[derive(Clone, Debug, Serialize)]
pub struct PluginSummary {
    /// Name, with its namespace.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// Transform or adapter.
    pub kind: PluginKind,
    /// `sha256:` and the hex digest of the component.
    pub digest: String,
    /// What it does.
    pub summary: String,
    /// JSON Schema of its configuration.
    pub config_schema: serde_json::Value,
}

impl PluginCatalog {
    pub(crate) fn new(sandbox: Sandbox) -> Self {
        Self {
            sandbox,
            compiled: Mutex::default(),
        }
    }

    pub(crate) fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// The plugin of this name, with or without its namespace; nothing where there is none.
    /// Blocks while it compiles.
    pub(crate) fn find(&self, name: &str) -> Result<Option<Plugin>, EngineError> {
        let shipped = exeat_shipped::find(name.strip_prefix(SHIPPED).unwrap_or(name));
        shipped.map(|shipped| self.load(shipped)).transpose()
    }

    /// Every plugin, in order.
    pub(crate) fn list(&self) -> Result<Vec<PluginSummary>, EngineError> {
        exeat_shipped::PLUGINS
            .iter()
            .map(|shipped| {
                let plugin = self.load(shipped)?;
                Ok(PluginSummary {
                    name: qualified(&plugin),
                    version: plugin.version().to_string(),
                    kind: plugin.kind(),
                    digest: plugin.digest().to_owned(),
                    summary: plugin.summary().to_owned(),
                    config_schema: serde_json::from_str(plugin.config_schema()).unwrap_or_default(),
                })
            })
            .collect()
    }

    /// Names of all plugins, for messages.
    pub(crate) fn names() -> String {
        let names: Vec<&str> = exeat_shipped::PLUGINS.iter().map(|plugin| plugin.name).collect();
        names.join(", ")
    }

    fn load(&self, shipped: &ShippedPlugin) -> Result<Plugin, EngineError> {
        let slot = {
            let mut compiled = self
                .compiled
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            Arc::clone(compiled.entry(shipped.name).or_default())
        };
        let mut slot = slot.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(plugin) = slot.as_ref() {
            return Ok(plugin.clone());
        }
        let plugin =
            Plugin::load(&self.sandbox, shipped.component, PluginLimits::default()).map_err(|source| {
                EngineError::Shipped {
                    name: shipped.name,
                    source: Box::new(source),
                }
            })?;
        *slot = Some(plugin.clone());
        Ok(plugin)
    }
}

/// Name with its namespace.
pub(crate) fn qualified(plugin: &Plugin) -> String {
    format!("{SHIPPED}{}", plugin.name())
}
