//! Which fields an export asks for: layer one of what never leaves, "not nameable".

use thiserror::Error;

use crate::catalog::{Field, catalog};

/// Fields that may leave and were asked for, in the order asked.
///
/// There is no way to make one that names a field outside the policy.
#[derive(Clone, Debug)]
pub struct FieldSelection {
    selected: Vec<&'static Field>,
    explicit: bool,
}

/// Why a list of fields was refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SelectionError {
    /// No field has this name.
    #[error("there is no field \"{name}\"{}", did_you_mean(.suggestion))]
    Unknown {
        /// Place in the list, from 0.
        index: usize,
        /// The name that was asked for.
        name: String,
        /// The nearest name that exists.
        suggestion: Option<String>,
    },
    /// What has this name never leaves.
    #[error("\"{name}\" is never exported: {why}")]
    Never {
        /// Place in the list, from 0.
        index: usize,
        /// The name that was asked for.
        name: String,
        /// Why it never leaves.
        why: String,
    },
    /// The name stands in the list twice.
    #[error("the field \"{name}\" is named twice")]
    Twice {
        /// Place in the list of the second one, from 0.
        index: usize,
        /// The name.
        name: String,
    },
    /// The list is empty.
    #[error("the list of fields is empty")]
    Empty,
}

fn did_you_mean(suggestion: &Option<String>) -> String {
    suggestion
        .as_ref()
        .map(|name| format!("; did you mean \"{name}\"?"))
        .unwrap_or_default()
}

impl SelectionError {
    /// Place in the list of what is wrong, from 0.
    pub fn index(&self) -> Option<usize> {
        match self {
            Self::Unknown { index, .. } | Self::Never { index, .. } | Self::Twice { index, .. } => {
                Some(*index)
            }
            Self::Empty => None,
        }
    }
}

impl FieldSelection {
    /// The everyday fields: what leaves when nobody asks for anything else.
    pub fn everyday() -> Self {
        Self {
            selected: catalog().everyday().collect(),
            explicit: false,
        }
    }

    /// Those of the everyday fields that there are where users are read from.
    pub fn everyday_among(is_there: impl Fn(&Field) -> bool) -> Self {
        Self {
            selected: catalog().everyday().filter(|field| is_there(field)).collect(),
            explicit: false,
        }
    }

    /// Exactly the named fields.
    ///
    /// # Errors
    /// An unknown name, a name that never leaves, a name twice, or an empty list.
    pub fn named<S: AsRef<str>>(names: &[S]) -> Result<Self, SelectionError> {
        if names.is_empty() {
            return Err(SelectionError::Empty);
        }
        let mut selected: Vec<&'static Field> = Vec::with_capacity(names.len());
        for (index, name) in names.iter().enumerate() {
            let name = name.as_ref();
            let Some(field) = catalog().field(name) else {
                return Err(refusal(index, name));
            };
            if selected.iter().any(|already| already.name == field.name) {
                return Err(SelectionError::Twice {
                    index,
                    name: name.to_owned(),
                });
            }
            selected.push(field);
        }
        Ok(Self {
            selected,
            explicit: true,
        })
    }

    /// The selected fields, in order.
    pub fn selected(&self) -> &[&'static Field] {
        &self.selected
    }

    /// What plugins are offered: the selected fields, and, unless the request named its
    /// fields, every other one that may leave. The flag says whether it is selected.
    pub fn offered(&self) -> Vec<(&'static Field, bool)> {
        let mut offered: Vec<_> = self.selected.iter().map(|field| (*field, true)).collect();
        if !self.explicit {
            let others = catalog().fields().iter();
            offered.extend(
                others
                    .filter(|field| !self.holds(&field.name))
                    .map(|field| (field, false)),
            );
        }
        offered
    }

    fn holds(&self, name: &str) -> bool {
        self.selected.iter().any(|field| field.name == name)
    }
}

fn refusal(index: usize, name: &str) -> SelectionError {
    match catalog().never(name) {
        Some(why) => SelectionError::Never {
            index,
            name: name.to_owned(),
            why: why.to_owned(),
        },
        None => SelectionError::Unknown {
            index,
            name: name.to_owned(),
            suggestion: nearest(name),
        },
    }
}

/// The field whose name is at most two edits away.
fn nearest(name: &str) -> Option<String> {
    let names = catalog().fields().iter().map(|field| field.name.as_str());
    let (distance, nearest) = names
        .map(|field| (strsim::damerau_levenshtein(name, field), field))
        .min()?;
    (distance <= 2).then(|| nearest.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_field_is_refused_with_the_nearest_name() {
        let error = FieldSelection::named(&["user_id", "emial"]).unwrap_err();
        assert_eq!(error.index(), Some(1));
        assert_eq!(
            error.to_string(),
            "there is no field \"emial\"; did you mean \"email\"?"
        );
    }

    #[test]
    fn a_never_field_is_refused_with_the_reason() {
        let error = FieldSelection::named(&["password_hash"]).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("\"password_hash\" is never exported: a password hash")
        );
    }

    #[test]
    fn explicit_fields_are_all_that_plugins_are_offered() {
        let offered = FieldSelection::named(&["user_id", "picture"]).unwrap().offered();
        assert_eq!(offered.len(), 2);
        let everything = FieldSelection::everyday().offered();
        assert_eq!(everything.len(), catalog().fields().len());
        assert_eq!(everything.iter().filter(|(_, selected)| *selected).count(), 10);
    }
}
