//! Admission: from bytes of a stranger's to a plugin that jobs may use.
//!
//! size → sha256 → form and features → imports → world and version → memory and tables → compile,
//! in a process of its own → describe, twice → name and version → a smoke run, twice

use exeat_gate::FieldSelection;
use exeat_sandbox::{
    ChainError, Figures, LoadError, OpenError, Plugin, PluginLimits, PluginUse, Refusal, RefusalCode, Sandbox,
};
use semver::Version;
use serde_json::Value;

use crate::rows::{JsonRow, objects};
use crate::trial::{Outcome, TrialError, run, trial_job};

/// The users of every smoke run: plain ones and odd ones, with every field that can leave.
const SMOKE_ROWS: &str = include_str!("smoke.json");

/// A plugin that jobs may use.
#[derive(Debug)]
pub struct Admitted {
    /// The plugin.
    pub plugin: Plugin,
    /// What came of the smoke run.
    pub smoke: Smoke,
}

/// What came of the smoke run.
#[derive(Debug)]
pub enum Smoke {
    /// It ran, twice the same.
    Ran {
        /// The columns that the plugin was given.
        reads: Vec<String>,
        /// What it cost.
        figures: Box<Figures>,
    },
    /// It needs a configuration that nobody knows here: the sentence that it says.
    NotRun(String),
}

/// Looks at a component in every way there is, in order. Blocks, for as long as it compiles.
///
/// # Errors
/// The first thing that is wrong.
pub fn admit(
    sandbox: &Sandbox,
    component: &[u8],
    limits: PluginLimits,
    claimed: Option<(&str, &Version)>,
) -> Result<Admitted, LoadError> {
    let plugin = Plugin::load(sandbox, component, limits)?;
    if let Some((name, version)) = claimed
        && (plugin.name() != name || plugin.version() != version)
    {
        let message = format!(
            "the component calls itself {}, and was uploaded as {name} {version}",
            plugin.label()
        );
        return Err(Refusal::new(RefusalCode::NameMismatch, message).into());
    }
    let smoke = smoke_run(sandbox, &plugin, limits)?;
    Ok(Admitted { plugin, smoke })
}

fn smoke_run(sandbox: &Sandbox, plugin: &Plugin, limits: PluginLimits) -> Result<Smoke, LoadError> {
    let rows = smoke_rows();
    let used = PluginUse {
        plugin: plugin.clone(),
        config: example_config(plugin.config_schema()).to_string(),
        limits,
    };
    let ran = || run(sandbox, &trial_job(), &used, &FieldSelection::everyday(), &rows);
    let (first, again) = match ran().and_then(|first| Ok((first, ran()?))) {
        Ok(both) => both,
        Err(error) => return not_run(error),
    };
    if !same_output(&first, &again) {
        let message = "the plugin makes something else of the same rows each time";
        return Err(Refusal::new(RefusalCode::NotReproducible, message).into());
    }
    Ok(Smoke::Ran {
        reads: first.reads,
        figures: Box::new(first.figures),
    })
}

/// A plugin may say no to a configuration that it was never meant for. It may not break down.
fn not_run(error: TrialError) -> Result<Smoke, LoadError> {
    let broken = |message: String| {
        let message = format!("the plugin fails on a few plain rows: {message}");
        Err(Refusal::new(RefusalCode::SmokeRunFailed, message).into())
    };
    match error {
        TrialError::Open(ChainError::Open { source, .. }) => match source {
            OpenError::Failed(failure) if failure.cause.is_breakdown() || failure.guard().is_some() => {
                broken(failure.to_string())
            }
            OpenError::Busy => Err(LoadError::Host(source.into())),
            said => Ok(Smoke::NotRun(said.to_string())),
        },
        TrialError::Plugin(failure) if failure.cause.is_breakdown() || failure.guard().is_some() => {
            broken(failure.to_string())
        }
        TrialError::Plugin(failure) => Ok(Smoke::NotRun(failure.to_string())),
        host => Err(LoadError::Host(host.into())),
    }
}

fn same_output(a: &Outcome, b: &Outcome) -> bool {
    a.rows == b.rows && a.files == b.files && a.rejects == b.rejects && a.dropped == b.dropped
}

/// The first example of a schema, or its default, or nothing.
pub(crate) fn example_config(schema: &str) -> Value {
    let schema: Value = serde_json::from_str(schema).unwrap_or_default();
    let example = schema.get("examples").and_then(|examples| examples.get(0));
    let config = example.or_else(|| schema.get("default"));
    config.cloned().unwrap_or_else(|| Value::Object(JsonRow::new()))
}

/// The users of every smoke run.
pub(crate) fn smoke_rows() -> Vec<JsonRow> {
    let rows: Vec<Value> = serde_json::from_str(SMOKE_ROWS).expect("the rows of this crate are JSON");
    objects(rows).expect("the rows of this crate are objects")
}

#[cfg(test)]
mod tests {
    use exeat_gate::catalog;

    use super::*;
    use crate::rows::raw_batch;

    #[test]
    fn the_smoke_rows_have_every_field_that_can_leave() {
        let rows = smoke_rows();
        let fields: Vec<_> = catalog().fields().iter().collect();
        assert_eq!(raw_batch(&fields, &rows).unwrap().rows(), rows.len());
        for field in fields {
            let found = rows
                .iter()
                .any(|row| row.get(&field.name).is_some_and(|value| !value.is_null()));
            assert!(found, "no row has a value for {}", field.name);
        }
    }

    #[test]
    fn the_example_of_a_schema_is_the_configuration_of_its_smoke_run() {
        assert_eq!(
            example_config(r#"{"examples": [{"column": "name"}]}"#)["column"],
            "name"
        );
        assert_eq!(example_config("{}"), Value::Object(JsonRow::new()));
    }
}
