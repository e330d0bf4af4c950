//! Versions, as the command line names them.

use anyhow::{Result, anyhow};

use crate::cli::VersionArg;

/// `shout@0.1.0` as name and version.
pub(super) fn split(arg: &VersionArg) -> Result<(&str, &str)> {
    arg.plugin
        .split_once('@')
        .ok_or_else(|| anyhow!("a version is written NAME@VERSION, such as shout@0.1.0"))
}
