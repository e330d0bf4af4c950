//! The sandbox of an author's tools: the same crate and limits as the server's, with a cache of
//! compiled code that is the user's own.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use exeat_sandbox::compiler::Compiler;
use exeat_sandbox::{CodeCache, LoadError, Plugin, PluginLimits, Sandbox, SandboxSetup};
use exeat_workbench::{JsonRow, objects};

use super::super::read_json;
use super::project::Project;
use crate::cli::ComponentArg;

/// A sandbox for trying plugins out.
pub(super) fn sandbox() -> Result<Sandbox> {
    let setup = SandboxSetup {
        compiler: Compiler::this_program(),
        cache: cache(),
        metered: false,
    };
    Ok(Sandbox::new(setup)?)
}

/// Without a home, or without room in it, everything is compiled each time.
fn cache() -> Option<CodeCache> {
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"));
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(home)?;
    let folder = base.join("exeat");
    std::fs::create_dir_all(&folder).ok()?;
    CodeCache::open(&folder.join("code"), &folder.join("host.key")).ok()
}

/// The file of a component: the one that is named, or the one that the project here builds.
pub(super) fn file(arg: &ComponentArg) -> Result<PathBuf> {
    match &arg.component {
        Some(file) => Ok(file.clone()),
        None => Ok(Project::open(Path::new("."))?.component()),
    }
}

/// Reads a component.
pub(super) fn read(file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file)
        .with_context(|| format!("{} cannot be read; exeat plugin build makes it", file.display()))
}

/// Loads a component under the limits that hold when nobody has said otherwise.
pub(super) fn load(sandbox: &Sandbox, component: &[u8]) -> Result<Plugin, LoadError> {
    Plugin::load(sandbox, component, PluginLimits::default())
}

/// A configuration: a JSON file, or nothing.
pub(super) fn config(file: Option<&Path>) -> Result<serde_json::Value> {
    file.map_or_else(|| Ok(serde_json::json!({})), read_json)
}

/// Users from a file of NDJSON; `-` is standard input.
pub(super) fn users(file: &Path) -> Result<Vec<JsonRow>> {
    let text = if file.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin())?
    } else {
        std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?
    };
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty());
    let values = lines.map(|(index, line)| {
        serde_json::from_str(line)
            .with_context(|| format!("{}, line {}, is not JSON", file.display(), index + 1))
    });
    Ok(objects(values.collect::<Result<_>>()?)?)
}
