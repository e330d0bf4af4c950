//! What a person is told when a command fails: one sentence, and a hint.

use std::process::ExitCode;

use exeat_directory::DirectoryError;
use exeat_engine::{EngineError, ExportFailure};
use exeat_sandbox::LoadError;

/// Exit code of an interrupted command: 128 and the number of SIGINT.
const INTERRUPTED: u8 = 130;

/// Exit code when a component is not admitted.
pub(crate) const REFUSED: u8 = 4;

/// Prints why a command failed; says with which code to exit.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    let interrupted = matches!(
        error.downcast_ref::<EngineError>(),
        Some(EngineError::Export(ExportFailure::Cancelled))
    );
    if interrupted {
        eprintln!("interrupted: nothing was written");
        return ExitCode::from(INTERRUPTED);
    }
    eprintln!("error: {}", sentence(error));
    if let Some(hint) = hint(error) {
        eprintln!("hint: {hint}");
    }
    if refusal_code(error).is_some() {
        return ExitCode::from(REFUSED);
    }
    ExitCode::FAILURE
}

/// Why a component is not admitted, if that is what failed.
fn refusal_code(error: &anyhow::Error) -> Option<&str> {
    if let Some(LoadError::Refused(refusal)) = error.downcast_ref::<LoadError>() {
        return Some(refusal.code.name());
    }
    match error.downcast_ref::<EngineError>() {
        Some(EngineError::Request(request)) => request.reason.as_deref(),
        _ => None,
    }
}

/// The error and its causes, each said once.
fn sentence(error: &anyhow::Error) -> String {
    let mut sentence = error.to_string();
    if let Some(EngineError::Request(request)) = error.downcast_ref::<EngineError>()
        && !request.pointer.is_empty()
    {
        sentence.push_str(&format!(" (at {})", request.pointer));
    }
    if let Some(code) = refusal_code(error) {
        sentence.push_str(&format!(" ({code})"));
    }
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !sentence.contains(&cause) {
            sentence.push_str(": ");
            sentence.push_str(&cause);
        }
    }
    sentence
}

fn hint(error: &anyhow::Error) -> Option<String> {
    let directory = |error: &DirectoryError| match error {
        DirectoryError::UnknownTenant(_) => Some(
            "exeat users import or exeat users generate creates a tenant; --data names the data folder"
                .to_owned(),
        ),
        _ => None,
    };
    match error.downcast_ref::<EngineError>() {
        Some(EngineError::Request(request)) => request.hint.clone(),
        Some(EngineError::Directory(error)) => directory(error),
        Some(EngineError::Export(ExportFailure::Plugin(failure))) if failure.is_reject() => {
            Some("--on-reject skip leaves such rows out and lists them in rejects.ndjson".to_owned())
        }
        Some(_) => None,
        None => error.downcast_ref().and_then(directory),
    }
}
