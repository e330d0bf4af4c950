//! `exeat plugin check`: admission, offline.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use exeat_sandbox::{LoadError, PluginLimits, Refusal};
use exeat_workbench::{Admitted, Smoke, admit};
use indicatif::HumanBytes;
use serde_json::json;

use super::{paint, workshop};
use crate::cli::ComponentArg;
use crate::failure::REFUSED;

/// Looks at a component as the server does.
pub(super) fn run(arg: &ComponentArg, json: bool) -> Result<ExitCode> {
    let file = workshop::file(arg)?;
    let component = workshop::read(&file)?;
    let sandbox = workshop::sandbox()?;
    let begun = Instant::now();
    let limits = PluginLimits::default();
    match admit(&sandbox, &component, limits, None) {
        Ok(admitted) if json => {
            println!("{}", serde_json::to_string_pretty(&as_json(&admitted))?);
            Ok(ExitCode::SUCCESS)
        }
        Ok(admitted) => {
            tell(&admitted, limits, begun);
            Ok(ExitCode::SUCCESS)
        }
        Err(LoadError::Refused(refusal)) => {
            refuse(&refusal, json)?;
            Ok(ExitCode::from(REFUSED))
        }
        Err(host) => Err(host.into()),
    }
}

fn tell(admitted: &Admitted, limits: PluginLimits, begun: Instant) {
    let plugin = &admitted.plugin;
    let inspection = plugin.inspection();
    let compiled = match plugin.compiled_in() {
        Some(time) => format!("compiled in {:.2} s", time.as_secs_f64()),
        None => "compiled before".to_owned(),
    };
    println!("{} {}", paint::good("admitted:"), plugin.label());
    println!(
        "  {}, {}, {}",
        inspection.kind.name(),
        HumanBytes(inspection.bytes),
        inspection.digest
    );
    println!("  {compiled}, {} functions", inspection.functions);
    match &admitted.smoke {
        Smoke::Ran { reads, figures } => {
            let share = figures.peak_memory_bytes as f64 / limits.memory_bytes as f64;
            let memory = format!(
                "{} of {}",
                HumanBytes(figures.peak_memory_bytes),
                HumanBytes(limits.memory_bytes as u64)
            );
            println!(
                "  smoke run: reads {}, memory {}",
                list(reads),
                paint::near(memory, share)
            );
        }
        Smoke::NotRun(said) => println!("  no smoke run: {said}"),
    }
    println!("  in {:.2} s", begun.elapsed().as_secs_f64());
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        "nothing".to_owned()
    } else {
        names.join(", ")
    }
}

fn refuse(refusal: &Refusal, json: bool) -> Result<()> {
    if json {
        let refused = json!({"admitted": false, "code": refusal.code.name(), "detail": refusal.message});
        println!("{}", serde_json::to_string_pretty(&refused)?);
    } else {
        println!(
            "{} {} ({})",
            paint::bad("refused:"),
            refusal.message,
            refusal.code.name()
        );
    }
    Ok(())
}

fn as_json(admitted: &Admitted) -> serde_json::Value {
    let plugin = &admitted.plugin;
    let smoke = match &admitted.smoke {
        Smoke::Ran { reads, figures } => json!({"ran": true, "reads": reads, "figures": figures}),
        Smoke::NotRun(said) => json!({"ran": false, "because": said}),
    };
    json!({
        "admitted": true, "name": plugin.name(), "version": plugin.version().to_string(),
        "summary": plugin.summary(), "component": plugin.inspection(), "smoke_run": smoke,
        "compile_milliseconds": plugin.compiled_in().map(|time| time.as_millis() as u64),
    })
}
