//! What an export says of itself, so that anyone can verify it.

use std::collections::BTreeMap;

use exeat_gate::Evidence;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Everything that one needs to know to trust an export, or to make it again.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ExportManifest {
    /// Version of this form.
    pub manifest_version: u32,
    /// Version of Exeat that made the export.
    pub exeat_version: String,
    /// The job.
    pub job_id: String,
    /// The tenant.
    pub tenant: String,
    /// Where users were read from: `exeat`, or the name of a platform's definition.
    pub source: String,
    /// Instant of the consistent state that was read (RFC 3339).
    pub snapshot_at: String,
    /// The filter's conditions.
    pub filter: BTreeMap<String, String>,
    /// The fields that the gate released, in order.
    pub fields: Vec<String>,
    /// The columns of the output, in order; none where an adapter made it.
    pub columns: Vec<String>,
    /// `csv`, `ndjson`, or `adapter`.
    pub format: String,
    /// What was done against formulas in CSV cells: `off`, `escape` or `auth0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub csv_formulas: Option<String>,
    /// Whether e-mails and names were redacted.
    pub anonymized: bool,
    /// Why the rows may leave, and what was held back.
    pub policy: Evidence,
    /// The plugins, in order.
    pub plugins: Vec<PluginEntry>,
    /// What became of the rows: read = written + dropped + rejected.
    pub rows: RowCounts,
    /// What the destination cannot hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub losses: Vec<Loss>,
    /// The files.
    pub files: Vec<FileEntry>,
}

/// A plugin that worked on an export.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PluginEntry {
    /// Name, with its namespace.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// `sha256:` and the hex digest of the component.
    pub digest: String,
    /// `sha256:` and the hex digest of the configuration it was given.
    pub config_digest: String,
    /// The columns that it was given.
    pub reads: Vec<String>,
}

/// What became of the rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RowCounts {
    /// Rows of the snapshot.
    pub read: u64,
    /// Rows in the output.
    pub written: u64,
    /// Rows that plugins left out on purpose.
    pub dropped: u64,
    /// Rows that plugins could not put out.
    pub rejected: u64,
}

impl RowCounts {
    /// Whether every row that was read is accounted for.
    pub fn are_complete(&self) -> bool {
        self.read == self.written + self.dropped + self.rejected
    }
}

/// Something that a destination cannot hold, counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Loss {
    /// The field.
    pub field: String,
    /// Why.
    pub reason: String,
    /// In how many rows.
    pub rows: u64,
}

/// One file of an export, as it lies there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileEntry {
    /// Name, unique in the export.
    pub name: String,
    /// Media type of what is in it (RFC 6838).
    pub media_type: String,
    /// `none`, `gzip` or `zstd`.
    pub compression: String,
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256, in hex.
    pub sha256: String,
}
