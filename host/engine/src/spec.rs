//! A request that was checked, and everything that running it needs.

use std::sync::Arc;

use exeat_directory::filter::{Filter, FilterError};
use exeat_directory::{Directory, Snapshot, Tenant};
use exeat_encode::{Compression, Format, FormulaPolicy};
use exeat_gate::{Field, FieldSelection, Gate, SelectionError, catalog};
use exeat_sandbox::{
    Chain, ChainError, JobContext, KeyMaterial, OfferedColumn, OpenError, PluginKind, PluginUse, Sandbox,
};
use exeat_workbench::{RowsError, TrialError};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;

use crate::error::{EngineError, ExportFailure, RequestError};
use crate::registry::{PluginRegistry, ResolvedPlugin, check_kind};
use crate::request::{ExportRequest, OnReject};
use crate::requester::FieldRights;

/// Transforms of one export: each is an instance in the sandbox that all tenants share.
const MAX_TRANSFORMS: usize = 8;

/// Rows that an export skips at most when the request does not say.
const DEFAULT_MAX_REJECTS: u64 = 10_000;

/// What may be kept with an export, in bytes.
const MAX_METADATA_BYTES: usize = 32 << 10;

/// Longest id of a user after which somebody wants to go on.
const MAX_USER_ID_BYTES: usize = 256;

/// What the directory's own users are called as a source.
const OWN_SOURCE: &str = "exeat";

/// A sound export: every field may leave, every filter is bound, every plugin exists.
#[derive(Clone, Debug)]
pub struct ExportSpec {
    pub(crate) filter: Filter,
    /// How many users are read, if not all.
    pub(crate) limit: Option<u64>,
    /// Name of the definition by which users are read.
    pub(crate) source: String,
    /// What plugins are offered: the selected fields, and all others that can be read.
    pub(crate) offered: Vec<OfferedColumn>,
    pub(crate) anonymize: bool,
    pub(crate) transforms: Vec<ResolvedPlugin>,
    pub(crate) output: Output,
    pub(crate) compression: Compression,
    pub(crate) on_reject: RejectPolicy,
}

/// Who makes the bytes.
#[derive(Clone, Debug)]
pub(crate) enum Output {
    Encoder { format: Format, formulas: FormulaPolicy },
    Adapter(ResolvedPlugin),
}

impl ExportSpec {
    /// Checks a request, all but what plugins have to say.
    pub(crate) fn check(
        request: &ExportRequest,
        plugins: ResolvedPlugins,
        directory: &Directory,
        rights: FieldRights,
    ) -> Result<Self, RequestError> {
        let source = check_source(request, directory)?;
        let selection = select(request, directory)?;
        let filter = parse_filter(request)?;
        check_rights(rights, &selection, &filter)?;
        let output = match plugins.adapter {
            Some(adapter) => {
                if request.format.is_some() {
                    let detail = "an adapter has a format of its own";
                    return Err(RequestError::new("conflict", "/format", detail).hint("leave out the format"));
                }
                Output::Adapter(adapter)
            }
            None => Output::Encoder {
                format: request.format.unwrap_or(Format::Ndjson),
                formulas: request.csv_formulas.unwrap_or_default(),
            },
        };
        let csv = matches!(
            output,
            Output::Encoder {
                format: Format::Csv,
                ..
            }
        );
        if request.csv_formulas.is_some() && !csv {
            let detail = "only CSV has cells that a spreadsheet could take for formulas";
            return Err(
                RequestError::new("conflict", "/csv_formulas", detail).hint("leave it out, or ask for csv")
            );
        }
        if request.limit == Some(0) {
            let detail = "a limit is at least 1; left out, there is none";
            return Err(RequestError::new("invalid-limit", "/limit", detail));
        }
        check_metadata(request)?;
        Ok(Self {
            filter,
            limit: request.limit,
            source,
            offered: OfferedColumn::all_of(&selection)
                .into_iter()
                .filter(|column| {
                    catalog()
                        .field(&column.spec.name)
                        .is_some_and(|field| directory.can_read(field) && rights.cover(field))
                })
                .collect(),
            anonymize: request.anonymize,
            transforms: plugins.transforms,
            output,
            compression: request.compression,
            on_reject: on_reject(request)?,
        })
    }

    /// The request as one that can only mean the plugins that it was checked with.
    pub(crate) fn pinned(&self, request: &ExportRequest) -> ExportRequest {
        let transforms = request.transforms.iter().zip(&self.transforms);
        ExportRequest {
            transforms: transforms
                .map(|(asked, resolved)| resolved.pinned(asked))
                .collect(),
            adapter: request
                .adapter
                .as_ref()
                .zip(self.adapter())
                .map(|(asked, resolved)| resolved.pinned(asked)),
            source: Some(self.source.clone()),
            ..request.clone()
        }
    }

    /// A snapshot, as far as it is to be read.
    pub(crate) fn bounded(&self, snapshot: Snapshot) -> Snapshot {
        match self.limit {
            Some(limit) => snapshot.limited(limit),
            None => snapshot,
        }
    }

    /// Whether users have this field where they are read from.
    pub(crate) fn can_read(&self, field: &Field) -> bool {
        self.offered.iter().any(|column| column.spec.name == field.name)
    }

    /// Every plugin, in order.
    pub(crate) fn plugins(&self) -> impl Iterator<Item = &ResolvedPlugin> {
        self.transforms.iter().chain(self.adapter())
    }

    /// Whether the export is a folder of files.
    pub fn has_several_files(&self) -> bool {
        matches!(self.output, Output::Adapter(_))
    }

    /// Name of the one file of an export that no adapter makes.
    pub fn file_name(&self) -> Option<String> {
        match &self.output {
            Output::Encoder { format, .. } => Some(format!(
                "users.{}{}",
                format.extension(),
                self.compression.extension()
            )),
            Output::Adapter(_) => None,
        }
    }

    pub(crate) fn adapter(&self) -> Option<&ResolvedPlugin> {
        match &self.output {
            Output::Adapter(adapter) => Some(adapter),
            Output::Encoder { .. } => None,
        }
    }

    /// Opens the plugins for a job, and the gate for what they need: in as many lanes as may share
    /// the work, if no plugin keeps state.
    pub(crate) fn open(
        &self,
        sandbox: &Sandbox,
        job: &JobContext,
        lanes: usize,
    ) -> Result<Opened, OpenedError> {
        let transforms: Vec<PluginUse> = self
            .transforms
            .iter()
            .map(|resolved| resolved.used.clone())
            .collect();
        let adapter = self.adapter().map(|resolved| &resolved.used);
        let chain = Chain::open(sandbox, job, &self.offered, &transforms, adapter)
            .map_err(|error| chain_error(error, self.transforms.len()))?;
        let released: Vec<&'static Field> = chain
            .needs()
            .iter()
            .filter_map(|column| catalog().field(&column.name))
            .collect();
        let mut twins = Vec::new();
        while twins.len() + 1 < lanes
            && let Some(twin) = chain
                .twin(sandbox)
                .map_err(|failure| OpenedError::Failed(failure.into()))?
        {
            twins.push(twin);
        }
        Ok(Opened {
            gate: Gate::new(released, self.anonymize),
            chain,
            twins,
        })
    }
}

/// Where users are read from, which must be what the request says, if it says so.
fn check_source(request: &ExportRequest, directory: &Directory) -> Result<String, RequestError> {
    let here = directory.platform().unwrap_or(OWN_SOURCE);
    match &request.source {
        Some(asked) if asked != here => {
            let detail = format!("users are to be read from {asked}, and are read from {here} here");
            Err(RequestError::new("wrong-source", "/source", detail)
                .hint("servers and workers of one database need the same --source"))
        }
        _ => Ok(here.to_owned()),
    }
}

/// Whether whoever asks may have what they ask for, and what they ask about: a filter is an oracle.
fn check_rights(
    rights: FieldRights,
    selection: &FieldSelection,
    filter: &Filter,
) -> Result<(), RequestError> {
    let refused = |pointer: String, name: &str| {
        let detail = format!("{name} is sensitive, and the token lacks the scope export:sensitive");
        Err(RequestError::new("missing-scope", pointer, detail))
    };
    let selected = selection.selected().iter().enumerate();
    if let Some((index, field)) = selected.into_iter().find(|(_, field)| !rights.cover(field)) {
        return refused(format!("/fields/{index}"), &field.name);
    }
    let asked = filter
        .fields()
        .into_iter()
        .filter_map(|name| catalog().field(name));
    match asked.into_iter().find(|field| !rights.cover(field)) {
        Some(field) => refused("/filter".to_owned(), &field.name),
        None => Ok(()),
    }
}

/// The fields that were asked for, or the everyday ones that there are where users are read from.
fn select(request: &ExportRequest, directory: &Directory) -> Result<FieldSelection, RequestError> {
    let Some(names) = &request.fields else {
        return Ok(FieldSelection::everyday_among(|field| directory.can_read(field)));
    };
    let selection = FieldSelection::named(names).map_err(field_error)?;
    let absent = selection
        .selected()
        .iter()
        .position(|field| !directory.can_read(field));
    match (absent, directory.platform()) {
        (Some(index), Some(platform)) => {
            let detail = format!("{platform} has no {}", selection.selected()[index].name);
            Err(RequestError::new(
                "unknown-field",
                format!("/fields/{index}"),
                detail,
            ))
        }
        _ => Ok(selection),
    }
}

/// Gate and plugins, opened for one job.
pub(crate) struct Opened {
    pub(crate) gate: Gate,
    pub(crate) chain: Chain,
    /// Chains that do the same as that one, but for its adapter.
    pub(crate) twins: Vec<Chain>,
}

/// Opening failed: the request is wrong, or a plugin broke.
pub(crate) enum OpenedError {
    Request(RequestError),
    Failed(ExportFailure),
}

impl From<OpenedError> for EngineError {
    fn from(error: OpenedError) -> Self {
        match error {
            OpenedError::Request(error) => error.into(),
            OpenedError::Failed(failure) => failure.into(),
        }
    }
}

impl From<OpenedError> for ExportFailure {
    fn from(error: OpenedError) -> Self {
        match error {
            OpenedError::Request(error) => error.into(),
            OpenedError::Failed(failure) => failure,
        }
    }
}

/// What plugins may know of a job of this tenant.
pub(crate) fn job_context(tenant: &Tenant, job_id: &str, snapshot_at_us: i64) -> JobContext {
    let mut mac = <Hmac<Sha256>>::new_from_slice(&tenant.key()).expect("HMAC takes a key of any length");
    mac.update(b"exeat plugin seed\0");
    let digest: [u8; 32] = mac.finalize().into_bytes().into();
    let seed = digest
        .iter()
        .take(8)
        .fold(0, |seed, byte| seed << 8 | u64::from(*byte));
    JobContext {
        job_id: job_id.to_owned(),
        snapshot_at_us,
        seed,
        keys: KeyMaterial::Tenant(tenant.key()),
    }
}

fn field_error(error: SelectionError) -> RequestError {
    let code = match &error {
        SelectionError::Never { .. } => "never-exported",
        SelectionError::Unknown { .. } => "unknown-field",
        SelectionError::Twice { .. } | SelectionError::Empty => "invalid-fields",
    };
    let pointer = error
        .index()
        .map_or_else(|| "/fields".to_owned(), |index| format!("/fields/{index}"));
    RequestError::new(code, pointer, error.to_string())
        .hint("GET /v1/fields, or exeat fields, lists what can leave")
}

fn parse_filter(request: &ExportRequest) -> Result<Filter, RequestError> {
    let mut pairs: Vec<(&str, String)> = Vec::with_capacity(request.filter.len());
    for (key, value) in &request.filter {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            _ => {
                let detail = format!("the filter \"{key}\" is neither text, number nor truth value");
                return Err(RequestError::new(
                    "invalid-filter",
                    format!("/filter/{}", escape(key)),
                    detail,
                ));
            }
        };
        pairs.push((key, text));
    }
    let pairs = pairs.iter().map(|(key, value)| (*key, value.as_str()));
    let filter = Filter::from_pairs(pairs).map_err(filter_error)?;
    match &request.after {
        Some(after) if after.is_empty() || after.len() > MAX_USER_ID_BYTES => {
            let detail = format!("this is the id of a user, of 1 to {MAX_USER_ID_BYTES} bytes");
            Err(RequestError::new("invalid-filter", "/after", detail))
        }
        Some(after) => Ok(filter.after(after)),
        None => Ok(filter),
    }
}

fn check_metadata(request: &ExportRequest) -> Result<(), RequestError> {
    let bytes: usize = request
        .metadata
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    if bytes > MAX_METADATA_BYTES {
        let detail = format!("keys and values have at most {MAX_METADATA_BYTES} bytes together");
        return Err(RequestError::new("too-much-metadata", "/metadata", detail));
    }
    Ok(())
}

/// A filter's error, at its key; the offset counts in the value.
pub(crate) fn filter_error(error: FilterError) -> RequestError {
    let pointer = match error.key.as_str() {
        // An expression may be all of the filter.
        "" | Filter::EXPRESSION => "/filter".to_owned(),
        key => format!("/filter/{}", escape(key)),
    };
    let code = if error.never {
        "never-exported"
    } else {
        "invalid-filter"
    };
    let offset = error.offset.checked_sub(error.key.chars().count() + 1);
    RequestError {
        offset,
        ..RequestError::new(code, pointer, error.reason)
    }
}

/// A key as a segment of a JSON pointer.
fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// The plugins of a request, found and loaded.
pub(crate) struct ResolvedPlugins {
    transforms: Vec<ResolvedPlugin>,
    adapter: Option<ResolvedPlugin>,
}

impl ResolvedPlugins {
    pub(crate) async fn find(
        registry: &Arc<PluginRegistry>,
        tenant: &Tenant,
        request: &ExportRequest,
    ) -> Result<Self, EngineError> {
        if request.transforms.len() > MAX_TRANSFORMS {
            let detail = format!("an export has at most {MAX_TRANSFORMS} transforms");
            return Err(RequestError::new("conflict", "/transforms", detail).into());
        }
        let mut transforms = Vec::with_capacity(request.transforms.len());
        for (index, asked) in request.transforms.iter().enumerate() {
            let pointer = format!("/transforms/{index}");
            let resolved = registry.resolve(tenant, asked, &pointer).await?;
            check_kind(&resolved, PluginKind::Transform, &pointer)?;
            transforms.push(resolved);
        }
        let adapter = match &request.adapter {
            None => None,
            Some(asked) => {
                let resolved = registry.resolve(tenant, asked, "/adapter").await?;
                check_kind(&resolved, PluginKind::Adapter, "/adapter")?;
                Some(resolved)
            }
        };
        Ok(Self { transforms, adapter })
    }
}

/// What becomes of rows that plugins reject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RejectPolicy {
    /// The first fails the export.
    Fail,
    /// They are left out and listed, up to so many.
    SkipUpTo(u64),
}

fn on_reject(request: &ExportRequest) -> Result<RejectPolicy, RequestError> {
    match (request.on_reject, request.max_rejects) {
        (OnReject::Fail, None) => Ok(RejectPolicy::Fail),
        (OnReject::Fail, Some(_)) => {
            let detail = "max_rejects is for exports that skip rejected rows";
            Err(RequestError::new("conflict", "/max_rejects", detail)
                .hint("say on_reject: skip, or leave it out"))
        }
        (OnReject::Skip, most) => Ok(RejectPolicy::SkipUpTo(most.unwrap_or(DEFAULT_MAX_REJECTS))),
    }
}

/// What is wrong with a dry run, at its place in the request.
pub(crate) fn trial_problem(error: TrialError) -> EngineError {
    match error {
        TrialError::Rows(RowsError::Field(error)) => RequestError {
            pointer: "/rows".to_owned(),
            ..field_error(error)
        }
        .into(),
        TrialError::Rows(error) => RequestError::new("invalid-rows", "/rows", error.to_string()).into(),
        TrialError::Gate(error) => ExportFailure::from(error).into(),
        TrialError::Plugin(failure) => RequestError::new("plugin-failed", "", failure.to_string()).into(),
        TrialError::Open(error) => match chain_error(error, 1) {
            OpenedError::Request(error) => {
                let pointer = error
                    .pointer
                    .strip_prefix("/transforms/0")
                    .unwrap_or_default()
                    .to_owned();
                RequestError { pointer, ..error }.into()
            }
            OpenedError::Failed(ExportFailure::Plugin(failure)) => {
                RequestError::new("plugin-failed", "", failure.to_string()).into()
            }
            OpenedError::Failed(failure) => failure.into(),
        },
    }
}

/// A chain's error, at the plugin's place in the request.
fn chain_error(error: ChainError, transforms: usize) -> OpenedError {
    let step = error.step();
    let place = if step < transforms {
        format!("/transforms/{step}")
    } else {
        "/adapter".to_owned()
    };
    let source = match error {
        ChainError::Open { source, .. } => source,
        wrong_kind @ ChainError::WrongKind { .. } => {
            let error = RequestError::new(
                "wrong-plugin-kind",
                format!("{place}/plugin"),
                wrong_kind.to_string(),
            );
            return OpenedError::Request(error);
        }
    };
    let hint = "exeat plugin list --schemas, or GET /v1/plugins, shows what a configuration may say";
    match source {
        OpenError::Config {
            plugin,
            pointer,
            message,
        } => {
            let detail = format!("the configuration of {plugin} is wrong: {message}");
            OpenedError::Request(
                RequestError::new("invalid-config", format!("{place}/config{pointer}"), detail).hint(hint),
            )
        }
        OpenError::Schema { .. } => {
            let error = RequestError::new("missing-field", format!("{place}/plugin"), source.to_string());
            OpenedError::Request(error.hint("ask for the field, or leave the fields out"))
        }
        OpenError::Busy => OpenedError::Failed(ExportFailure::Busy),
        // A name that never leaves, or that no file can have: whoever wrote the configuration chose it.
        OpenError::Failed(failure) => match failure.guard() {
            Some(guard) => {
                let code = if guard.is_never() {
                    "never-exported"
                } else {
                    "invalid-config"
                };
                let pointer = format!("{place}/config");
                OpenedError::Request(RequestError::new(code, pointer, guard.to_string()).hint(hint))
            }
            None => OpenedError::Failed(failure.into()),
        },
    }
}
