//! Keeps the files of an export, in a local folder or an object store.
//!
//! ```text
//! StoreUrl ──► Vault::draft(tenant, job, attempt) ──► Draft::file ──► FileWriter ──► FileEntry
//!                                                       └─ Draft::publish ──► manifest.json, put last
//!                                                       └─ Draft::deliver ──► a path of the user's
//!
//! exports/TENANT/JOB/ATTEMPT/FILE
//! exports/TENANT/JOB/ATTEMPT/.uploads/FILE    while FILE is sent in parts
//! exports/TENANT/JOB/ATTEMPT/manifest.json    last
//! ```
//!
//! Nothing is ever renamed or replaced in the vault, because object stores cannot: every attempt
//! at a job writes under a prefix of its own, so that one that is late touches nobody's files. Each
//! file is visible whole or not at all, and a prefix without its manifest is no export. Which
//! attempt is the export is for the job's record to say, and whoever reads names the attempt.
//!
//! What dead attempts leave is found by [`Vault::attempts`] and removed by
//! [`Vault::remove_attempt`], uploads that were cut off included.
//!
//! Next to it, [`ComponentStore`] keeps the bytes of plugins that tenants uploaded.

mod attempt;
mod client;
mod components;
mod delivery;
mod draft;
mod error;
mod file;
mod manifest;
mod store;
mod url;
mod vault;

pub use attempt::Attempt;
pub use components::ComponentStore;
pub use delivery::Target;
pub use draft::Draft;
pub use error::{StoreFault, VaultError};
pub use file::FileWriter;
pub use manifest::{ExportManifest, FileEntry, Loss, PluginEntry, RowCounts};
pub use url::StoreUrl;
pub use vault::{FileReader, Vault};
