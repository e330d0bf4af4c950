//! A row of the table of plugins.

use semver::Version;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row as _};

use crate::DirectoryError;

/// In which state a version of a plugin is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PluginState {
    /// Uploaded, and being checked.
    Admitting,
    /// Found unfit. It can be uploaded again.
    Refused,
    /// Fit for use.
    Admitted,
    /// Switched off by a person.
    Disabled,
    /// Switched off because it misbehaved.
    Quarantined,
}

impl PluginState {
    /// As it stands in the database and in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Admitting => "admitting",
            Self::Refused => "refused",
            Self::Admitted => "admitted",
            Self::Disabled => "disabled",
            Self::Quarantined => "quarantined",
        }
    }

    fn parse(name: &str) -> Result<Self, DirectoryError> {
        let all = [
            Self::Admitting,
            Self::Refused,
            Self::Admitted,
            Self::Disabled,
            Self::Quarantined,
        ];
        all.into_iter()
            .find(|state| state.name() == name)
            .ok_or(DirectoryError::Corrupt("plugins.state"))
    }

    /// Whether the admission ended well, whatever came after it.
    pub(super) fn passed_admission(self) -> bool {
        match self {
            Self::Admitting | Self::Refused => false,
            Self::Admitted | Self::Disabled | Self::Quarantined => true,
        }
    }
}

/// An upload that is to be noted.
#[derive(Clone, Debug)]
pub struct NewPlugin {
    /// Name of the plugin.
    pub name: String,
    /// A semantic version.
    pub version: String,
    /// `transform` or `adapter`.
    pub kind: &'static str,
    /// `sha256:` and 64 lower-case hexadecimal digits.
    pub digest: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Who uploads it, as in the audit trail.
    pub uploader: String,
}

/// A version of a plugin. Timestamps are microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of the table")]
pub struct PluginRecord {
    pub plugin_id: i64,
    pub name: String,
    pub version: String,
    pub kind: String,
    pub digest: String,
    pub bytes: u64,
    pub summary: Option<String>,
    /// The schema of its configuration, as JSON.
    pub config_schema: Option<String>,
    /// The fields that it reads; none before it is admitted.
    pub reads: Vec<String>,
    /// Notes and figures of the admission, as JSON.
    pub admission: Option<String>,
    pub state: PluginState,
    pub reason_code: Option<String>,
    pub reason: Option<String>,
    /// Since it was last enabled.
    pub traps: u32,
    pub uploader: String,
    pub uploaded_at: i64,
    /// When the state last changed.
    pub changed_at: i64,
}

impl PluginRecord {
    /// The version, to be compared.
    pub(super) fn semver(&self) -> Result<Version, DirectoryError> {
        Version::parse(&self.version).map_err(|_| DirectoryError::Corrupt("plugins.version"))
    }
}

const COLUMNS: &str = "plugin_id, tenant_id, name, version, kind, digest, bytes, summary, config_schema, reads, \
                       admission, state, reason_code, reason, traps, uploader, uploaded_at, changed_at";

/// The versions of a tenant that have a digest, the one that counts first.
pub(super) const OF_DIGEST: &str =
    "tenant_id = $1 AND digest = $2 ORDER BY state = 'admitted' DESC, plugin_id DESC";

/// A query for the plugins of which a condition, and an order after it, is true.
pub(super) fn select(condition: &'static str) -> AssertSqlSafe<String> {
    AssertSqlSafe(format!("SELECT {COLUMNS} FROM plugins WHERE {condition}"))
}

/// Whose plugin a row is.
pub(super) fn tenant_id(row: &AnyRow) -> Result<i64, DirectoryError> {
    Ok(row.try_get("tenant_id")?)
}

pub(super) fn from_row(row: &AnyRow) -> Result<PluginRecord, DirectoryError> {
    let reads: Option<String> = row.try_get("reads")?;
    let reads = reads.map_or_else(|| Ok(Vec::new()), |reads| serde_json::from_str(&reads));
    let state: String = row.try_get("state")?;
    let (bytes, traps): (i64, i64) = (row.try_get("bytes")?, row.try_get("traps")?);
    Ok(PluginRecord {
        plugin_id: row.try_get("plugin_id")?,
        name: row.try_get("name")?,
        version: row.try_get("version")?,
        kind: row.try_get("kind")?,
        digest: row.try_get("digest")?,
        bytes: u64::try_from(bytes).map_err(|_| DirectoryError::Corrupt("plugins.bytes"))?,
        summary: row.try_get("summary")?,
        config_schema: row.try_get("config_schema")?,
        reads: reads.map_err(|_| DirectoryError::Corrupt("plugins.reads"))?,
        admission: row.try_get("admission")?,
        state: PluginState::parse(&state)?,
        reason_code: row.try_get("reason_code")?,
        reason: row.try_get("reason")?,
        traps: u32::try_from(traps).map_err(|_| DirectoryError::Corrupt("plugins.traps"))?,
        uploader: row.try_get("uploader")?,
        uploaded_at: row.try_get("uploaded_at")?,
        changed_at: row.try_get("changed_at")?,
    })
}
