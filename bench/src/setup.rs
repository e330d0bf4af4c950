//! What a run measures, and with what.

use std::path::{Path, PathBuf};

/// A run.
#[derive(Debug)]
pub struct Setup {
    /// The binary that is measured.
    pub exeat: PathBuf,
    /// The peers' programs, if there are any.
    pub peers: Option<PeerPrograms>,
    /// Where databases and outputs lie.
    pub folder: PathBuf,
    /// Rounds of every comparison.
    pub rounds: usize,
    /// Less of everything.
    pub quick: bool,
}

/// Programs that do the same work in other ways. They speak one protocol: see their README.
#[derive(Debug)]
pub struct PeerPrograms {
    /// jaq, jq, VRL, serde_json.
    pub native: PathBuf,
    /// Extism's host.
    pub extism: PathBuf,
    /// The plugin that it runs.
    pub extism_guest: PathBuf,
    /// One component call a row.
    pub component_row: PathBuf,
    /// The component that is called.
    pub component_row_guest: PathBuf,
}

impl PeerPrograms {
    /// Where `cargo xtask bench` has built them.
    pub fn in_folder(folder: &Path) -> Self {
        let guest = |name: &str| folder.join("wasm32-unknown-unknown/guest").join(name);
        Self {
            native: folder.join("release/exeat-peers"),
            extism: folder.join("exeat-peers-extism"),
            extism_guest: guest("exeat_peers_extism_guest.wasm"),
            component_row: folder.join("release/exeat-peers-component"),
            component_row_guest: guest("exeat_peers_component_guest.wasm"),
        }
    }
}

impl Setup {
    /// Rows of comparisons within this process.
    pub fn rows(&self) -> u64 {
        if self.quick { 50_000 } else { 200_000 }
    }

    /// Rows that peers are given.
    pub fn peer_rows(&self) -> u64 {
        if self.quick { 10_000 } else { 20_000 }
    }

    /// Users of the comparisons from end to end.
    pub fn users(&self) -> u64 {
        if self.quick { 100_000 } else { 1_000_000 }
    }

    /// Users of those from PostgreSQL, which is slower to fill and to ask by hand.
    pub fn postgres_users(&self) -> u64 {
        self.users() / 4
    }

    /// Numbers of users of which the growth of time and memory is read off.
    pub fn scales(&self) -> &'static [u64] {
        if self.quick {
            &[10_000, 100_000, 300_000]
        } else {
            &[10_000, 100_000, 1_000_000, 10_000_000]
        }
    }
}
