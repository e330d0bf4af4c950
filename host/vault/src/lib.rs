//! Keeps the files of an export: drafts, atomic commit, manifest.
//!
//! ```text
//! Vault::draft ──► Draft::file ──► FileWriter ──► FileEntry
//!                    └─ Draft::publish ──► exports/TENANT/JOB/…, the manifest last
//!                    └─ Draft::deliver ──► a path of the user's, the manifest last
//! ```
//!
//! A draft lies in a folder of its own that nobody looks into. Nothing becomes visible before it
//! is whole, and an export without its manifest is none.
//!
//! Next to it, [`ComponentStore`] keeps the bytes of plugins that tenants uploaded.

mod components;
mod delivery;
mod draft;
mod manifest;
mod vault;

pub use components::ComponentStore;
pub use delivery::Target;
pub use draft::{Draft, FileWriter};
pub use manifest::{ExportManifest, FileEntry, Loss, PluginEntry, RowCounts};
pub use vault::{FileReader, Vault, VaultError};
