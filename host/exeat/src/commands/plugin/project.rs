//! A plugin's project: how it is built, and where its component lies.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

/// The file that makes a folder a project.
pub(crate) const MANIFEST: &str = "exeat-plugin.toml";

/// A project, as its manifest says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Project {
    #[serde(skip)]
    folder: PathBuf,
    /// Only for people: the manifest of a component says the same.
    #[expect(dead_code, reason = "read by people")]
    lang: String,
    kind: ProjectKind,
    /// Where the component lies once it is built.
    component: PathBuf,
    /// The core module that the last step makes, where a language's tools make no component.
    core: Option<PathBuf>,
    /// Steps of the build, in order.
    #[serde(default, rename = "build")]
    steps: Vec<Step>,
}

/// Transform or adapter.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ProjectKind {
    Transform,
    Adapter,
}

impl ProjectKind {
    /// The world of the contract.
    pub(crate) fn world(self) -> &'static str {
        match self {
            Self::Transform => "transform-plugin",
            Self::Adapter => "adapter-plugin",
        }
    }
}

/// A command of the build.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    /// Program and arguments, run in the project's folder.
    run: Vec<String>,
    /// The step is left out while this file is there.
    unless: Option<PathBuf>,
    /// What must be installed for it.
    needs: Option<String>,
}

impl Project {
    /// The project of a folder.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let file = folder.join(MANIFEST);
        let text = std::fs::read_to_string(&file).with_context(|| {
            format!(
                "{} is no plugin project: {MANIFEST} cannot be read (exeat plugin new makes one)",
                folder.display()
            )
        })?;
        let project: Self = toml::from_str(&text).with_context(|| format!("{} is wrong", file.display()))?;
        Ok(Self {
            folder: folder.to_owned(),
            ..project
        })
    }

    /// Where the component lies.
    pub(crate) fn component(&self) -> PathBuf {
        self.folder.join(&self.component)
    }

    /// Where the golden cases lie.
    pub(crate) fn cases(&self) -> PathBuf {
        self.folder.join("cases")
    }

    /// Where the contract lies that the project is built for.
    pub(crate) fn wit(&self) -> PathBuf {
        self.folder.join(".exeat/wit")
    }

    /// World, and the core module to make a component of, if there is one.
    pub(crate) fn core(&self) -> Option<(ProjectKind, PathBuf)> {
        Some((self.kind, self.folder.join(self.core.as_ref()?)))
    }

    /// Runs every step.
    pub(crate) fn run_steps(&self) -> Result<()> {
        for step in &self.steps {
            let Some((program, args)) = step.run.split_first() else {
                bail!("a build step in {MANIFEST} has no program");
            };
            if step
                .unless
                .as_ref()
                .is_some_and(|file| self.folder.join(file).exists())
            {
                continue;
            }
            eprintln!("$ {}", step.run.join(" "));
            let needs = step
                .needs
                .as_ref()
                .map(|needs| format!("; it needs {needs}"))
                .unwrap_or_default();
            let status = Command::new(self.program(program))
                .args(args)
                .current_dir(&self.folder)
                .status()
                .with_context(|| format!("{program} cannot be started{needs}"))?;
            if !status.success() {
                bail!("{program} failed ({status}){needs}");
            }
        }
        Ok(())
    }

    /// A program of the project's own is named by its place in it.
    fn program(&self, program: &str) -> PathBuf {
        let own = self.folder.join(program);
        if program.contains('/') && own.exists() {
            // Relative to the folder that the process will run in, not to ours.
            return std::path::absolute(&own).unwrap_or(own);
        }
        program.into()
    }
}
