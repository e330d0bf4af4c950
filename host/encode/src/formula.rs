//! What keeps a spreadsheet from computing what a user typed.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::named::{UnknownName, by_name};

/// What happens to text in CSV that a spreadsheet would take for a formula.
///
/// Users choose their own names. Who calls himself `=HYPERLINK("http://…","Anita")` has that
/// formula computed on the machine of the administrator who opens the export (OWASP: CSV
/// injection). Quotes alone do not help: a spreadsheet takes them off before it looks. A
/// leading apostrophe does: it marks a cell as text.
///
/// A policy touches texts only: never times, numbers or booleans, which this crate formats
/// itself, and of which none can be a formula. It goes by the type of the column, not by the
/// value: in a JSON column, the text `-5` is as suspect as anywhere.
///
/// The apostrophe stays in the data for every reader that is no spreadsheet. Who feeds the file
/// to a program should ask for [`Off`](Self::Off), or for NDJSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FormulaPolicy {
    /// Every text as it is: exact, and for programs only.
    Off,
    /// A text that starts with `=`, `+`, `-`, `@`, a tab or a carriage return, the characters
    /// that OWASP names, is preceded by an apostrophe; so is such a title in the header. The
    /// default, because the safe file is the one for people who did not choose.
    #[default]
    Escape,
    /// As in Auth0's exports, for tools that were made for those: every text is preceded by an
    /// apostrophe and quoted. Missing values, times, numbers and booleans are bare; titles are
    /// quoted without an apostrophe, since tools look columns up by them.
    Auth0,
}

impl FormulaPolicy {
    /// Every policy.
    pub const ALL: [Self; 3] = [Self::Off, Self::Escape, Self::Auth0];

    /// The name that is used in requests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Escape => "escape",
            Self::Auth0 => "auth0",
        }
    }

    /// Whether an apostrophe goes before this text.
    pub(crate) fn marks(self, text: &[u8]) -> bool {
        match self {
            Self::Off => false,
            Self::Escape => matches!(text.first(), Some(b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r')),
            Self::Auth0 => true,
        }
    }

    /// Whether an apostrophe goes before this title.
    pub(crate) fn marks_title(self, title: &[u8]) -> bool {
        self == Self::Escape && self.marks(title)
    }

    /// Whether texts are quoted where RFC 4180 would not need it.
    pub(crate) fn quotes_all(self) -> bool {
        self == Self::Auth0
    }
}

impl FromStr for FormulaPolicy {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        by_name("formula policy", &Self::ALL, Self::name, name)
    }
}
