//! `exeat plugin build`: the steps that the project names, and a component at the end.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow};
use exeat_sandbox::{PluginLimits, inspect};
use indicatif::HumanBytes;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

use super::project::{Project, ProjectKind};

/// Builds the component of a project.
pub(super) fn run(folder: &Path) -> Result<ExitCode> {
    let project = Project::open(folder)?;
    project.run_steps()?;
    let component = project.component();
    if let Some((kind, core)) = project.core() {
        let module = std::fs::read(&core)
            .with_context(|| format!("the build made no core module at {}", core.display()))?;
        let wrapped =
            wrap(module, kind, &project.wit()).context("the core module cannot become a component")?;
        std::fs::write(&component, wrapped)
            .with_context(|| format!("{} cannot be written", component.display()))?;
    }
    let bytes = std::fs::read(&component)
        .with_context(|| format!("the build made no component at {}", component.display()))?;
    let inspection = inspect(&bytes, &PluginLimits::CEILING)?;
    println!(
        "{}: {}, {}",
        component.display(),
        inspection.kind.name(),
        HumanBytes(inspection.bytes)
    );
    println!("next: exeat plugin test");
    Ok(ExitCode::SUCCESS)
}

/// A component of a core module that exports the functions of a world.
fn wrap(mut module: Vec<u8>, kind: ProjectKind, wit: &Path) -> Result<Vec<u8>> {
    let mut resolve = wit_parser::Resolve::default();
    let (package, _) = resolve.push_path(wit).map_err(|error| anyhow!("{error:#}"))?;
    let world = resolve
        .select_world(&[package], Some(kind.world()))
        .map_err(|error| anyhow!("{error:#}"))?;
    let embedded = embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8);
    embedded.map_err(|error| anyhow!("{error:#}"))?;
    let component = ComponentEncoder::default()
        .module(&module)
        .and_then(|encoder| encoder.validate(true).encode());
    component.map_err(|error| anyhow!("{error:#}"))
}
