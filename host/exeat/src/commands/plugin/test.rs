//! `exeat plugin test`: golden cases in the sandbox.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use exeat_sandbox::PluginLimits;
use exeat_workbench::{Verdict, bless_case, check_case, read_cases};

use super::project::Project;
use super::{paint, workshop};

/// A case came out otherwise than expected.
const DIFFERS: u8 = 5;

/// Runs every case of a folder.
pub(super) fn run(
    project: &Path,
    component: Option<PathBuf>,
    cases: Option<PathBuf>,
    bless: bool,
) -> Result<ExitCode> {
    let (component, cases) = match (component, cases) {
        (Some(component), Some(cases)) => (component, cases),
        (component, cases) => {
            let project = Project::open(project)?;
            let component = component.unwrap_or_else(|| project.component());
            (component, cases.unwrap_or_else(|| project.cases()))
        }
    };
    let sandbox = workshop::sandbox()?;
    let plugin = workshop::load(&sandbox, &workshop::read(&component)?)?;
    let limits = PluginLimits::default();
    let mut wrong = 0;
    let read = read_cases(&cases)?;
    let count = read.len();
    for (path, mut case) in read {
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if bless {
            match bless_case(&sandbox, &plugin, limits, &mut case) {
                Ok(()) => {
                    let text = serde_json::to_string_pretty(&case)? + "\n";
                    std::fs::write(&path, text)
                        .with_context(|| format!("{} cannot be written", path.display()))?;
                    println!("{name} ... blessed");
                }
                Err(error) => {
                    wrong += 1;
                    println!("{name} ... {}: {error}", paint::bad("failed"));
                }
            }
            continue;
        }
        match check_case(&sandbox, &plugin, limits, &case) {
            Verdict::Passed => println!("{name} ... {}", paint::good("ok")),
            Verdict::Differs(differences) => {
                wrong += 1;
                println!("{name} ... {}", paint::bad("differs"));
                differences
                    .iter()
                    .for_each(|difference| println!("  {}", difference.replace('\n', "\n  ")));
            }
            Verdict::Failed(error) => {
                wrong += 1;
                println!("{name} ... {}: {error}", paint::bad("failed"));
            }
        }
    }
    println!(
        "{} of {count} cases as expected, {}",
        count - wrong,
        plugin.label()
    );
    Ok(if wrong == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(DIFFERS)
    })
}
