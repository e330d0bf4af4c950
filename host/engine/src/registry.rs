//! Which plugins there are for a tenant: those that ship, under `exeat/`, and the tenant's own.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use exeat_directory::plugins::{PluginRecord, PluginState};
use exeat_directory::{Directory, Tenant};
use exeat_sandbox::{
    Figures, LimitSettings, LoadError, Plugin, PluginKind, PluginLimits, PluginUse, Sandbox,
};
use exeat_shipped::ShippedPlugin;
use exeat_vault::ComponentStore;
use schemars::JsonSchema;
use semver::Version;
use serde::Serialize;

use crate::engine::blocking;
use crate::error::{EngineError, RequestError};
use crate::request::PluginRequest;

/// Namespace of the plugins that ship.
pub(crate) const SHIPPED: &str = "exeat/";

/// Plugins whose code is kept in memory.
const MAX_LOADED: usize = 32;

/// A plugin that a job uses.
#[derive(Clone, Debug)]
pub(crate) struct ResolvedPlugin {
    /// Its name, with the namespace of those that ship.
    pub(crate) name: String,
    /// The plugin, its configuration and its limits.
    pub(crate) used: PluginUse,
}

impl ResolvedPlugin {
    /// The plugin as a request that can only mean this very component.
    pub(crate) fn pinned(&self, request: &PluginRequest) -> PluginRequest {
        PluginRequest {
            plugin: format!("{}@{}", self.name, self.used.plugin.version()),
            digest: Some(self.used.plugin.digest().to_owned()),
            config: request.config.clone(),
        }
    }
}

/// Finds plugins, and keeps the code of those that were used last.
#[derive(Debug)]
pub(crate) struct PluginRegistry {
    pub(crate) sandbox: Sandbox,
    pub(crate) directory: Directory,
    pub(crate) components: ComponentStore,
    pub(crate) ceiling: PluginLimits,
    loaded: Mutex<Loaded>,
    metered: Mutex<Option<Sandbox>>,
}

/// A place in which one component is loaded, once, while others wait for it.
type Slot = Arc<Mutex<Option<Plugin>>>;

#[derive(Debug, Default)]
struct Loaded {
    slots: HashMap<String, Slot>,
    /// Oldest first.
    order: VecDeque<String>,
}

/// A plugin, as lists show it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PluginSummary {
    /// Name, with its namespace.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// `transform` or `adapter`.
    pub kind: String,
    /// `sha256:` and the hex digest of the component.
    pub digest: String,
    /// What it does.
    pub summary: String,
    /// JSON Schema of its configuration.
    pub config_schema: serde_json::Value,
    /// What is known of a plugin of the tenant's own; nothing for those that ship.
    #[serde(flatten)]
    pub own: Option<OwnPlugin>,
}

/// What is known of a plugin of a tenant's own.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct OwnPlugin {
    /// `admitting`, `refused`, `admitted`, `disabled` or `quarantined`.
    pub state: &'static str,
    /// Why it is refused, disabled or quarantined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Size of the component.
    pub bytes: u64,
    /// The columns that it was given on a smoke run.
    pub reads: Vec<String>,
    /// What the admission noted: times, and whether there was a smoke run.
    pub admission: serde_json::Value,
    /// Jobs that it has failed since it was last enabled.
    pub traps: u32,
    /// Who uploaded it.
    pub uploader: String,
    /// When it was uploaded, RFC 3339.
    pub uploaded_at: String,
    /// When its state changed, RFC 3339.
    pub changed_at: String,
}

/// Why a plugin cannot be used.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Reason {
    /// A stable code.
    pub code: String,
    /// A sentence.
    pub detail: String,
}

impl From<&PluginRecord> for PluginSummary {
    fn from(record: &PluginRecord) -> Self {
        let json = |text: Option<&str>| {
            text.and_then(|text| serde_json::from_str(text).ok())
                .unwrap_or_default()
        };
        let reason = record.reason_code.clone().map(|code| Reason {
            code,
            detail: record.reason.clone().unwrap_or_default(),
        });
        Self {
            name: record.name.clone(),
            version: record.version.clone(),
            kind: record.kind.clone(),
            digest: record.digest.clone(),
            summary: record.summary.clone().unwrap_or_default(),
            config_schema: json(record.config_schema.as_deref()),
            own: Some(OwnPlugin {
                state: record.state.name(),
                reason,
                bytes: record.bytes,
                reads: record.reads.clone(),
                admission: json(record.admission.as_deref()),
                traps: record.traps,
                uploader: record.uploader.clone(),
                uploaded_at: exeat_directory::format_timestamp(record.uploaded_at),
                changed_at: exeat_directory::format_timestamp(record.changed_at),
            }),
        }
    }
}

impl PluginRegistry {
    pub(crate) fn new(
        sandbox: Sandbox,
        directory: Directory,
        components: ComponentStore,
        ceiling: PluginLimits,
    ) -> Self {
        Self {
            sandbox,
            directory,
            components,
            ceiling,
            loaded: Mutex::default(),
            metered: Mutex::default(),
        }
    }

    /// The sandbox that counts instructions, set up when the first dry run wants it.
    pub(crate) fn metered(&self) -> Result<Sandbox, EngineError> {
        let mut metered = self.metered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sandbox) = metered.as_ref() {
            return Ok(sandbox.clone());
        }
        let sandbox = self.sandbox.metered()?;
        *metered = Some(sandbox.clone());
        Ok(sandbox)
    }

    /// The plugin that a request names, ready to be opened under the limits that hold for it.
    pub(crate) async fn resolve(
        self: &Arc<Self>,
        tenant: &Tenant,
        request: &PluginRequest,
        pointer: &str,
    ) -> Result<ResolvedPlugin, EngineError> {
        let (name, version) = request
            .plugin
            .split_once('@')
            .map_or((request.plugin.as_str(), None), |(name, version)| {
                (name, Some(version))
            });
        let (name, plugin) = match shipped(name) {
            Some(shipped) => self.find_shipped(shipped, version, request, pointer).await?,
            None => (
                name.to_owned(),
                self.find_own(tenant, name, version, request, pointer).await?,
            ),
        };
        Ok(ResolvedPlugin {
            used: PluginUse {
                config: request.config.to_string(),
                limits: self.limits(tenant, plugin.name()).await?,
                plugin,
            },
            name,
        })
    }

    async fn find_shipped(
        self: &Arc<Self>,
        shipped: &'static ShippedPlugin,
        version: Option<&str>,
        request: &PluginRequest,
        pointer: &str,
    ) -> Result<(String, Plugin), EngineError> {
        let registry = Arc::clone(self);
        let plugin = blocking(move || registry.load_shipped(shipped)).await?;
        let as_asked = version.is_none_or(|version| version == plugin.version().to_string())
            && request
                .digest
                .as_deref()
                .is_none_or(|digest| digest == plugin.digest());
        if !as_asked {
            let detail = format!(
                "this host has {} in another version: {}",
                shipped.name,
                plugin.version()
            );
            let error = RequestError::new("unknown-plugin", format!("{pointer}/plugin"), detail);
            return Err(error.hint("ask for the export again").into());
        }
        Ok((format!("{SHIPPED}{}", plugin.name()), plugin))
    }

    async fn find_own(
        self: &Arc<Self>,
        tenant: &Tenant,
        name: &str,
        version: Option<&str>,
        request: &PluginRequest,
        pointer: &str,
    ) -> Result<Plugin, EngineError> {
        let record = match version {
            Some(version) => self.directory.plugin(tenant, name, version).await?,
            None => match self.directory.latest_plugin(tenant, name).await? {
                Some(record) => Some(record),
                // None can be used: the newest tells why.
                None => {
                    let all = self.directory.plugins(tenant).await?;
                    all.into_iter().find(|record| record.name == name)
                }
            },
        };
        let wanted = |record: &PluginRecord| {
            request
                .digest
                .as_ref()
                .is_none_or(|digest| *digest == record.digest)
        };
        let Some(record) = record.filter(wanted) else {
            return Err(self.unknown(tenant, request, pointer).await?.into());
        };
        if record.state != PluginState::Admitted {
            let because = record
                .reason
                .as_ref()
                .map(|reason| format!(": {reason}"))
                .unwrap_or_default();
            let detail = format!(
                "the plugin {name} {} is {}{because}",
                record.version,
                record.state.name()
            );
            let error = RequestError::new("plugin-not-usable", format!("{pointer}/plugin"), detail);
            let hint = match record.state {
                PluginState::Admitting => "wait until it is admitted",
                PluginState::Refused => "upload another build",
                _ => "exeat plugin enable, or POST …/enable, lets exports use it again",
            };
            return Err(error.hint(hint).into());
        }
        self.load_own(&record).await
    }

    async fn unknown(
        &self,
        tenant: &Tenant,
        request: &PluginRequest,
        pointer: &str,
    ) -> Result<RequestError, EngineError> {
        let own = self.directory.plugins(tenant).await?;
        let mut names: Vec<String> = exeat_shipped::PLUGINS
            .iter()
            .map(|plugin| plugin.name.to_owned())
            .collect();
        for record in own
            .into_iter()
            .filter(|record| record.state == PluginState::Admitted)
        {
            names.push(format!("{}@{}", record.name, record.version));
        }
        names.truncate(20);
        let detail = format!("there is no plugin \"{}\" that can be used", request.plugin);
        let hint = format!("there are {}", names.join(", "));
        Ok(RequestError::new("unknown-plugin", format!("{pointer}/plugin"), detail).hint(hint))
    }

    /// Loads a plugin of a tenant's own: out of the cache, as a rule.
    pub(crate) async fn load_own(self: &Arc<Self>, record: &PluginRecord) -> Result<Plugin, EngineError> {
        if let Some(plugin) = self.loaded(&record.digest) {
            return Ok(plugin);
        }
        let component = self.components.get(&record.digest).await?;
        let lost = || EngineError::Plugin {
            name: record.name.clone(),
            source: Box::new(LoadError::Host(
                "its component is gone from the data folder".into(),
            )),
        };
        let component = component.ok_or_else(lost)?;
        let (registry, digest, name) = (Arc::clone(self), record.digest.clone(), record.name.clone());
        blocking(move || {
            let loaded = registry.load(&digest, &component).and_then(|plugin| {
                // A file that was changed behind our back is not what was admitted.
                let as_admitted = plugin.digest() == digest;
                as_admitted
                    .then_some(plugin)
                    .ok_or_else(|| LoadError::Host("its component was changed".into()))
            });
            loaded.map_err(|source| EngineError::Plugin {
                name,
                source: Box::new(source),
            })
        })
        .await
    }

    fn load_shipped(&self, shipped: &ShippedPlugin) -> Result<Plugin, EngineError> {
        self.load(shipped.name, shipped.component)
            .map_err(|source| EngineError::Plugin {
                name: format!("{SHIPPED}{}", shipped.name),
                source: Box::new(source),
            })
    }

    /// Loads a component once for as long as it is used now and then. Blocks.
    fn load(&self, key: &str, component: &[u8]) -> Result<Plugin, LoadError> {
        let slot = self.slot(key);
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plugin) = slot.as_ref() {
            return Ok(plugin.clone());
        }
        // Admission was under the limits of its day; a job's own limits are checked by its store.
        let plugin = Plugin::load(&self.sandbox, component, self.ceiling)?;
        *slot = Some(plugin.clone());
        Ok(plugin)
    }

    /// A component that is loaded, without waiting for one that is being loaded.
    fn loaded(&self, key: &str) -> Option<Plugin> {
        let slot = self.slot(key);
        let loaded = slot.try_lock().ok()?;
        loaded.clone()
    }

    fn slot(&self, key: &str) -> Slot {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.order.retain(|other| other != key);
        loaded.order.push_back(key.to_owned());
        if loaded.order.len() > MAX_LOADED
            && let Some(oldest) = loaded.order.pop_front()
        {
            // Jobs that use it keep it until they end.
            loaded.slots.remove(&oldest);
        }
        Arc::clone(loaded.slots.entry(key.to_owned()).or_default())
    }

    /// Forgets a component that is deleted.
    pub(crate) fn forget(&self, digest: &str) {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.order.retain(|other| other != digest);
        loaded.slots.remove(digest);
        drop(loaded);
        self.sandbox.forget(digest);
    }

    /// The limits that hold for a plugin: the defaults, what the tenant has set for all of its
    /// plugins and for this one, and never more than the operator's ceiling.
    pub(crate) async fn limits(&self, tenant: &Tenant, name: &str) -> Result<PluginLimits, EngineError> {
        let rows = self.directory.plugin_limits(tenant, name).await?;
        let mut limits = PluginLimits::default();
        for set in [rows.tenant, rows.plugin].into_iter().flatten() {
            let settings: LimitSettings = serde_json::from_str(&set).unwrap_or_default();
            limits = limits.with(&settings, &PluginLimits::CEILING).unwrap_or(limits);
        }
        Ok(limits.within(&self.ceiling))
    }

    /// Every plugin that ships, in order.
    pub(crate) fn list_shipped(&self) -> Result<Vec<PluginSummary>, EngineError> {
        let summaries = exeat_shipped::PLUGINS.iter().map(|shipped| {
            let plugin = self.load_shipped(shipped)?;
            Ok(PluginSummary {
                name: format!("{SHIPPED}{}", plugin.name()),
                version: plugin.version().to_string(),
                kind: plugin.kind().name().to_owned(),
                digest: plugin.digest().to_owned(),
                summary: plugin.summary().to_owned(),
                config_schema: serde_json::from_str(plugin.config_schema()).unwrap_or_default(),
                own: None,
            })
        });
        summaries.collect()
    }
}

/// The shipped plugin of a name with or without its namespace.
pub(crate) fn shipped(name: &str) -> Option<&'static ShippedPlugin> {
    exeat_shipped::find(name.strip_prefix(SHIPPED).unwrap_or(name))
}

/// Whether a kind is what its place in a request wants.
pub(crate) fn check_kind(
    resolved: &ResolvedPlugin,
    kind: PluginKind,
    pointer: &str,
) -> Result<(), RequestError> {
    let plugin = &resolved.used.plugin;
    if plugin.kind() == kind {
        return Ok(());
    }
    let (is, instead) = match plugin.kind() {
        PluginKind::Transform => ("a transform", "name it under transforms"),
        PluginKind::Adapter => ("an adapter", "name it as the adapter"),
    };
    let detail = format!("{} is {is}", plugin.label());
    Err(RequestError::new("wrong-plugin-kind", format!("{pointer}/plugin"), detail).hint(instead))
}

/// What a plugin cost and did, with what follows from the counts.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PluginMetrics {
    /// The counts.
    #[serde(flatten)]
    pub figures: Figures,
    /// Half of all batches took at most this long, in microseconds.
    pub batch_p50_us: Option<f64>,
    /// All but one in a hundred batches took at most this long, in microseconds.
    pub batch_p99_us: Option<f64>,
    /// Nanoseconds of a row.
    pub ns_per_row: Option<f64>,
    /// Instructions of a row, where they were metered.
    pub fuel_per_row: Option<f64>,
}

impl From<Figures> for PluginMetrics {
    fn from(figures: Figures) -> Self {
        let percentile = |share| {
            figures
                .batch_times
                .percentile(share)
                .map(|time| time.as_secs_f64() * 1e6)
        };
        Self {
            batch_p50_us: percentile(0.5),
            batch_p99_us: percentile(0.99),
            ns_per_row: figures.ns_per_row(),
            fuel_per_row: figures.fuel_per_row(),
            figures,
        }
    }
}

/// Whether a text is a semantic version.
pub(crate) fn parse_version(version: &str) -> Result<Version, RequestError> {
    let detail = "the version is not a semantic version, such as 0.1.0";
    Version::parse(version).map_err(|_| RequestError::new("invalid-query", "", detail))
}
