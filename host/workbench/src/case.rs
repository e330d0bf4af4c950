//! Golden cases: what goes in, and what must come out. The same files as those of the SDK's native
//! harness, run in the real sandbox.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use exeat_gate::{ColumnType, catalog};
use exeat_sandbox::{ChainError, OpenError, Plugin, PluginLimits, PluginUse, Sandbox};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thiserror::Error;

use crate::rows::{fields_of, objects};
use crate::trial::{Outcome, TrialError, run, trial_job};

/// A golden case.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The configuration.
    #[serde(default = "empty")]
    pub config: Value,
    /// Types of columns, where their values do not tell the SDK's harness. Checked against the
    /// directory's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, ColumnType>,
    /// The rows, as JSON objects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<Value>,
    /// The rows that must come out of a transform.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expected_rows: Vec<Value>,
    /// The files that must come out of an adapter: name, and its JSON or text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub expected_files: BTreeMap<String, Value>,
    /// How many rows must be dropped.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub expected_dropped: u64,
    /// The rows that must be rejected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expected_rejects: Vec<CaseReject>,
    /// The JSON pointer at which the configuration must be refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_config_error: Option<String>,
}

/// A reject, as cases tell it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CaseReject {
    /// Place of the row, from 0.
    pub row: u32,
    /// The field that is blamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The short code.
    pub code: String,
}

fn empty() -> Value {
    json!({})
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Cases cannot be read.
#[derive(Debug, Error)]
pub enum CaseError {
    /// The folder or a file cannot be read or written.
    #[error("{} cannot be used: {source}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is no case.
    #[error("{} is not a golden case: {source}", .path.display())]
    NotACase {
        /// Which.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// There are none.
    #[error("{} holds no golden case (a file that ends in .json)", .0.display())]
    None(PathBuf),
}

/// How a case came out.
#[derive(Debug)]
pub enum Verdict {
    /// As expected.
    Passed,
    /// Otherwise: each difference, in a sentence or two lines.
    Differs(Vec<String>),
    /// It could not be run, or the plugin failed.
    Failed(String),
}

/// The golden cases of a folder, by name.
///
/// # Errors
/// The folder cannot be read, is empty, or holds a file that is no case.
pub fn read_cases(folder: &Path) -> Result<Vec<(PathBuf, Case)>, CaseError> {
    let file = |path: &Path| {
        let path = path.to_owned();
        move |source| CaseError::File { path, source }
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(file(folder))? {
        let path = entry.map_err(file(folder))?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            paths.push(path);
        }
    }
    paths.sort();
    if paths.is_empty() {
        return Err(CaseError::None(folder.to_owned()));
    }
    let case = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).map_err(file(&path))?;
        match serde_json::from_str(&text) {
            Ok(case) => Ok((path, case)),
            Err(source) => Err(CaseError::NotACase { path, source }),
        }
    };
    paths.into_iter().map(case).collect()
}

/// Runs a case.
pub fn check_case(sandbox: &Sandbox, plugin: &Plugin, limits: PluginLimits, case: &Case) -> Verdict {
    match (
        attempt(sandbox, plugin, limits, case),
        &case.expected_config_error,
    ) {
        (Ok(Attempt::Ran(outcome)), None) => {
            let differences = differences(case, &outcome);
            if differences.is_empty() {
                Verdict::Passed
            } else {
                Verdict::Differs(differences)
            }
        }
        (Ok(Attempt::Refused { pointer, .. }), Some(expected)) if pointer == *expected => Verdict::Passed,
        (Ok(Attempt::Refused { pointer, message }), Some(expected)) => Verdict::Differs(vec![format!(
            "the configuration is refused at \"{pointer}\" ({message}) instead of \"{expected}\""
        )]),
        (Ok(Attempt::Refused { pointer, message }), None) => Verdict::Failed(format!(
            "the configuration is refused at \"{pointer}\": {message}"
        )),
        (Ok(Attempt::Ran(_)), Some(expected)) => Verdict::Differs(vec![format!(
            "the configuration is taken; it should be refused at \"{expected}\""
        )]),
        (Err(error), _) => Verdict::Failed(error),
    }
}

/// Runs a case and puts what came out in the place of what was expected.
///
/// # Errors
/// The case cannot be run.
pub fn bless_case(
    sandbox: &Sandbox,
    plugin: &Plugin,
    limits: PluginLimits,
    case: &mut Case,
) -> Result<(), String> {
    let attempt = attempt(sandbox, plugin, limits, case)?;
    (case.expected_rows, case.expected_files) = Default::default();
    (
        case.expected_dropped,
        case.expected_rejects,
        case.expected_config_error,
    ) = Default::default();
    match attempt {
        Attempt::Refused { pointer, .. } => case.expected_config_error = Some(pointer),
        Attempt::Ran(outcome) => {
            case.expected_files = files(&outcome);
            case.expected_rejects = rejects(&outcome);
            case.expected_dropped = outcome.dropped;
            case.expected_rows = outcome.rows;
        }
    }
    Ok(())
}

enum Attempt {
    Ran(Box<Outcome>),
    Refused { pointer: String, message: String },
}

fn attempt(sandbox: &Sandbox, plugin: &Plugin, limits: PluginLimits, case: &Case) -> Result<Attempt, String> {
    for (name, column_type) in &case.columns {
        if let Some(field) = catalog().field(name)
            && field.column_type != *column_type
        {
            let (is, said) = (field.column_type.name(), column_type.name());
            return Err(format!("the field \"{name}\" is {is}, and the case says {said}"));
        }
    }
    let text = |error: &dyn std::error::Error| error.to_string();
    let rows = objects(case.rows.clone()).map_err(|error| text(&error))?;
    let named = case.columns.keys().map(String::as_str);
    let selection = fields_of(&rows, named).map_err(|error| text(&error))?;
    let used = PluginUse {
        plugin: plugin.clone(),
        config: case.config.to_string(),
        limits,
    };
    match run(sandbox, &trial_job(), &used, &selection, &rows) {
        Ok(outcome) => Ok(Attempt::Ran(Box::new(outcome))),
        Err(TrialError::Open(ChainError::Open {
            source: OpenError::Config { pointer, message, .. },
            ..
        })) => Ok(Attempt::Refused { pointer, message }),
        Err(error) => Err(text(&error)),
    }
}

fn files(outcome: &Outcome) -> BTreeMap<String, Value> {
    let files = outcome.files.iter().map(|(name, bytes)| {
        let text = || Value::from(String::from_utf8_lossy(bytes));
        (
            name.clone(),
            serde_json::from_slice(bytes).unwrap_or_else(|_| text()),
        )
    });
    files.collect()
}

fn rejects(outcome: &Outcome) -> Vec<CaseReject> {
    let rejects = outcome.rejects.iter().map(|reject| CaseReject {
        row: reject.row,
        field: reject.field.clone(),
        code: reject.code.clone(),
    });
    rejects.collect()
}

fn differences(case: &Case, outcome: &Outcome) -> Vec<String> {
    let mut differences = Vec::new();
    let mut differ = |what: &str, expected: Value, found: Value| {
        if expected != found {
            differences.push(format!("{what}\n  expected {expected}\n  found    {found}"));
        }
    };
    let (expected, found) = (&case.expected_rows, &outcome.rows);
    if expected.len() == found.len() {
        for (row, (expected, found)) in expected.iter().zip(found).enumerate() {
            differ(
                &format!("row {row} that came out"),
                expected.clone(),
                found.clone(),
            );
        }
    } else {
        differ("rows that came out", json!(expected), json!(found));
    }
    differ("files", json!(case.expected_files), json!(files(outcome)));
    differ(
        "rows dropped",
        json!(case.expected_dropped),
        json!(outcome.dropped),
    );
    differ("rejects", json!(case.expected_rejects), json!(rejects(outcome)));
    differences
}
