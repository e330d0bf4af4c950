//! Keeps the files of an export: drafts, atomic commit, manifest.
