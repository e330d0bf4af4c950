//! Choices that have a name in requests, settings and on the command line.

use serde::Serialize;

/// A name that stands for none of the choices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("unknown {kind} {given:?}: use one of {known}")]
pub struct UnknownName {
    /// What was to be chosen.
    pub kind: &'static str,
    /// The name that was given.
    pub given: String,
    /// The names that exist.
    pub known: String,
}

/// The choice of that name.
pub(crate) fn by_name<T: Copy>(
    kind: &'static str,
    choices: &[T],
    name: fn(T) -> &'static str,
    given: &str,
) -> Result<T, UnknownName> {
    choices
        .iter()
        .copied()
        .find(|choice| name(*choice) == given)
        .ok_or_else(|| {
            let known: Vec<&str> = choices.iter().map(|choice| name(*choice)).collect();
            UnknownName {
                kind,
                given: given.to_owned(),
                known: known.join(", "),
            }
        })
}
