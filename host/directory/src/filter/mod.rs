//! Filters: which users.
//!
//! There are two ways to write one down: the plain form of the list view, `state=active`,
//! and SCIM's expressions, `state eq "active" and created_at gt "2025-01-01T00:00:00Z"`.
//! Both become the same expressions, and those become SQL with bound parameters.
//!
//! A filter is an oracle: it may only ask about what may leave.

mod plain;
mod scim;
mod sqlite;
mod test;

use thiserror::Error;

pub(crate) use test::{Comparison, JsonPath, JsonTest, Part, SEARCHED, TextField, TextMatch};

use crate::record::UserState;

/// Most tests of a filter: each is paid for with each user.
const MAX_TESTS: usize = 64;

/// Conditions that all must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    expressions: Vec<Expression>,
    plain: Vec<(String, String)>,
}

/// What is true or false of a user, never unknown: what a user lacks, is equal to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expression {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Test(Test),
}

/// One thing that can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Test {
    State(Vec<UserState>),
    Instant(&'static str, Comparison, i64),
    Int(&'static str, Comparison, i64),
    Flag(&'static str, bool),
    Text(TextField, TextMatch, String),
    /// Whether the user is in a group whose name is like this, or in any.
    Group(Option<(TextMatch, String)>),
    /// Whether the field has a value.
    Present(&'static str),
    Json(JsonPath, JsonTest),
    Search(String),
}

/// A filter was refused.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{reason}")]
pub struct FilterError {
    /// Place of the condition in the list, from 0.
    pub index: usize,
    /// The key of the condition, as far as there is one.
    pub key: String,
    /// Place in the condition's text, `key=value`, in characters from 0.
    pub offset: usize,
    /// What is wrong there, and what would be right.
    pub reason: String,
    /// Whether it asks about something that never leaves.
    pub never: bool,
}

/// A value to be bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Parameter {
    Text(String),
    Int(i64),
}

impl Filter {
    /// The key under which an expression of SCIM stands beside plain conditions.
    pub const EXPRESSION: &str = "filter";

    /// Key and value of a condition as people write it: `state=active`, or else an expression of SCIM.
    pub fn split(condition: &str) -> (&str, &str) {
        match condition.split_once('=') {
            Some((key, value)) if plain::is_key(key.trim()) => (key.trim(), value.trim()),
            _ => (Self::EXPRESSION, condition),
        }
    }

    /// Parses conditions, each of the plain form or an expression of SCIM.
    ///
    /// # Errors
    /// The first condition that is neither, with its place.
    pub fn parse<S: AsRef<str>>(conditions: &[S]) -> Result<Self, FilterError> {
        Self::from_pairs(conditions.iter().map(|condition| Self::split(condition.as_ref())))
    }

    /// Takes conditions as keys and values, expressions under their own [key](Self::EXPRESSION).
    ///
    /// # Errors
    /// The first condition that is not one, with its place.
    pub fn from_pairs<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Self, FilterError> {
        let mut filter = Self::default();
        for (index, (key, value)) in pairs.enumerate() {
            filter
                .add_pair(key, value)
                .map_err(|error| FilterError { index, ..error })?;
        }
        Ok(filter)
    }

    fn add_pair(&mut self, key: &str, value: &str) -> Result<(), FilterError> {
        let error = |offset: usize, reason: String| FilterError {
            index: 0,
            key: key.to_owned(),
            offset,
            never: exeat_gate::catalog().never(key).is_some(),
            reason,
        };
        if key != Self::EXPRESSION && self.plain.iter().any(|(already, _)| already == key) {
            return Err(error(0, format!("the filter \"{key}\" is given twice")));
        }
        let in_value = key.chars().count() + 1;
        let expression = if key == Self::EXPRESSION {
            scim::parse(value).map_err(|refusal| FilterError {
                never: refusal.never,
                ..error(in_value + refusal.offset, refusal.reason)
            })?
        } else {
            Expression::Test(plain::parse(key, value).map_err(|refusal| match refusal {
                plain::Refusal::Key(reason) => error(0, reason),
                plain::Refusal::Value(reason) => error(in_value, reason),
            })?)
        };
        self.expressions.push(expression);
        if self.expressions.iter().map(Expression::tests).sum::<usize>() > MAX_TESTS {
            return Err(error(0, format!("a filter asks at most {MAX_TESTS} things")));
        }
        self.plain.push((key.to_owned(), value.trim().to_owned()));
        Ok(())
    }

    /// The same, of users whose ids come after this one: for whoever goes on where a stream broke off.
    #[must_use]
    pub fn after(mut self, user_id: &str) -> Self {
        let after = Test::Text(
            TextField::USER_ID,
            TextMatch::Compared(Comparison::Greater),
            user_id.to_owned(),
        );
        self.expressions.push(Expression::Test(after));
        self.plain.push(("after".to_owned(), user_id.to_owned()));
        self
    }

    /// The conditions as they were given; those of SCIM under `filter`.
    pub fn plain(&self) -> &[(String, String)] {
        &self.plain
    }

    /// The conditions in the order of [`Filter::plain`].
    pub(crate) fn expressions(&self) -> &[Expression] {
        &self.expressions
    }

    /// The names of the fields that are asked about, as often as they are.
    pub fn fields(&self) -> Vec<&'static str> {
        let mut fields = Vec::new();
        for expression in &self.expressions {
            expression.collect_fields(&mut fields);
        }
        fields
    }
}

impl Expression {
    fn tests(&self) -> usize {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().map(Self::tests).sum(),
            Self::Not(part) => part.tests(),
            Self::Test(_) => 1,
        }
    }

    fn collect_fields(&self, fields: &mut Vec<&'static str>) {
        match self {
            Self::All(parts) | Self::Any(parts) => {
                for part in parts {
                    part.collect_fields(fields);
                }
            }
            Self::Not(part) => part.collect_fields(fields),
            Self::Test(test) => fields.extend(test.fields()),
        }
    }

    /// As SQL, with one dialect's way to ask. Nothing if it has no way to ask something.
    ///
    /// SQL's third truth value appears where a user lacks something. Under a `NOT`, and nowhere else,
    /// it makes a difference, and every test is made to be true or false.
    pub(crate) fn sql(&self, ask: &mut dyn FnMut(&Test) -> Option<String>) -> Option<String> {
        self.sql_within(false, ask)
    }

    fn sql_within(&self, negated: bool, ask: &mut dyn FnMut(&Test) -> Option<String>) -> Option<String> {
        let mut join = |parts: &[Self], word: &str| {
            let parts: Option<Vec<String>> = parts.iter().map(|part| part.sql_within(negated, ask)).collect();
            Some(format!("({})", parts?.join(word)))
        };
        match self {
            Self::All(parts) => join(parts, " AND "),
            Self::Any(parts) => join(parts, " OR "),
            Self::Not(part) => Some(format!("(NOT {})", part.sql_within(true, ask)?)),
            Self::Test(test) if negated => Some(format!("(({}) IS TRUE)", ask(test)?)),
            Self::Test(test) => ask(test),
        }
    }
}
