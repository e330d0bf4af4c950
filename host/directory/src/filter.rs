//! Filters in the plain form of the list view: `state=active`, `created_after=2025-01-01`.
//!
//! A filter is an oracle: it may only ask about what may leave. Values become bound parameters.

use thiserror::Error;

use crate::record::UserState;
use crate::time::parse_instant;

/// Conditions that all must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    conditions: Vec<Condition>,
    plain: Vec<(String, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    State(Vec<UserState>),
    From(&'static str, i64),
    Before(&'static str, i64),
    EmailVerified(bool),
    Email(String),
    Group(String),
    Connection(String),
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
    /// Place in the condition's text, in characters from 0.
    pub offset: usize,
    /// What is wrong there, and what would be right.
    pub reason: String,
}

/// Keys that a filter may have, for messages.
const KEYS: &str = "state, created_after, created_before, updated_after, updated_before, last_signed_in_after, \
                    last_signed_in_before, email_verified, email, group, connection, q";
const MAX_VALUE_CHARS: usize = 256;

/// A value to be bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Parameter {
    Text(String),
    Int(i64),
}

impl Filter {
    /// Parses conditions of the form `key=value`.
    ///
    /// # Errors
    /// The first condition that is not one, with its place.
    pub fn parse<S: AsRef<str>>(conditions: &[S]) -> Result<Self, FilterError> {
        let split = conditions.iter().enumerate().map(|(index, condition)| {
            let condition = condition.as_ref();
            condition.split_once('=').ok_or_else(|| FilterError {
                index,
                key: String::new(),
                offset: condition.chars().count(),
                reason: "a condition is written key=value, such as state=active".to_owned(),
            })
        });
        let pairs = split.collect::<Result<Vec<_>, _>>()?;
        Self::from_pairs(pairs.into_iter().map(|(key, value)| (key.trim(), value.trim())))
    }

    /// Takes conditions as keys and values.
    ///
    /// # Errors
    /// The first condition that is not one, with its place.
    pub fn from_pairs<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Self, FilterError> {
        let mut filter = Self::default();
        for (index, (key, value)) in pairs.enumerate() {
            let error = |in_value: bool, reason: String| FilterError {
                index,
                key: key.to_owned(),
                offset: if in_value { key.chars().count() + 1 } else { 0 },
                reason,
            };
            if filter.plain.iter().any(|(already, _)| already == key) {
                return Err(error(false, format!("the filter \"{key}\" is given twice")));
            }
            let condition = match parse_condition(key, value) {
                Ok(condition) => condition,
                Err(Refusal::Key(reason)) => return Err(error(false, reason)),
                Err(Refusal::Value(reason)) => return Err(error(true, reason)),
            };
            filter.conditions.push(condition);
            filter.plain.push((key.to_owned(), value.to_owned()));
        }
        Ok(filter)
    }

    /// The conditions as they were given.
    pub fn plain(&self) -> &[(String, String)] {
        &self.plain
    }

    /// The conditions in the order of [`Filter::plain`].
    pub(crate) fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    /// The conditions as SQLite's SQL over `users AS u`, each with a leading `AND`; parameters are numbered
    /// from `first`. Columns are marked with `+` so that SQLite keeps to the primary key's order
    /// and the first row does not wait for a sort.
    pub(crate) fn sqlite(&self, first: usize) -> (String, Vec<Parameter>) {
        let mut sql = String::new();
        let mut parameters = Vec::new();
        for condition in &self.conditions {
            let mut bind = |parameter: Parameter| {
                parameters.push(parameter);
                format!("?{}", first + parameters.len() - 1)
            };
            let text = match condition {
                Condition::State(states) => {
                    let states: Vec<String> = states
                        .iter()
                        .map(|state| bind(Parameter::Text(state.name().to_owned())))
                        .collect();
                    format!("+u.state IN ({})", states.join(", "))
                }
                Condition::From(column, at) => format!("+u.{column} >= {}", bind(Parameter::Int(*at))),
                Condition::Before(column, at) => format!("+u.{column} < {}", bind(Parameter::Int(*at))),
                Condition::EmailVerified(yes) => {
                    format!("+u.email_verified = {}", bind(Parameter::Int((*yes).into())))
                }
                Condition::Email(email) => {
                    format!("lower(u.email) = lower({})", bind(Parameter::Text(email.clone())))
                }
                Condition::Group(name) => format!(
                    "EXISTS (SELECT 1 FROM memberships m JOIN groups g USING (group_id)
                             WHERE m.tenant_id = u.tenant_id AND m.user_id = u.user_id AND g.name = {})",
                    bind(Parameter::Text(name.clone()))
                ),
                Condition::Connection(name) => format!(
                    "+u.connection_id IN (SELECT connection_id FROM connections c
                                          WHERE c.tenant_id = u.tenant_id AND c.name = {})",
                    bind(Parameter::Text(name.clone()))
                ),
                Condition::Search(text) => {
                    let text = bind(Parameter::Text(text.to_lowercase()));
                    format!(
                        "(instr(lower(u.email), {text}) OR instr(lower(u.name), {text})
                          OR instr(lower(u.username), {text}))"
                    )
                }
            };
            sql.push_str(" AND ");
            sql.push_str(&text);
        }
        (sql, parameters)
    }
}

enum Refusal {
    Key(String),
    Value(String),
}

fn parse_condition(key: &str, value: &str) -> Result<Condition, Refusal> {
    if value.is_empty() {
        return Err(Refusal::Value(format!("the filter \"{key}\" has no value")));
    }
    if value.chars().count() > MAX_VALUE_CHARS {
        return Err(Refusal::Value(format!(
            "a filter's value has at most {MAX_VALUE_CHARS} characters"
        )));
    }
    let instant = || {
        let wrong =
            || "a time is a date, 2025-01-01, or an RFC 3339 instant, 2025-01-01T12:00:00Z".to_owned();
        parse_instant(value).ok_or_else(|| Refusal::Value(wrong()))
    };
    Ok(match key {
        "state" => {
            let states = value.split(',').map(|name| UserState::parse(name.trim()));
            let states: Option<Vec<UserState>> = states.collect();
            Condition::State(states.ok_or_else(|| {
                Refusal::Value(
                    "a state is invited, active, suspended or deleted; several with commas".to_owned(),
                )
            })?)
        }
        "created_after" => Condition::From("created_at", instant()?),
        "created_before" => Condition::Before("created_at", instant()?),
        "updated_after" => Condition::From("updated_at", instant()?),
        "updated_before" => Condition::Before("updated_at", instant()?),
        "last_signed_in_after" => Condition::From("last_signed_in_at", instant()?),
        "last_signed_in_before" => Condition::Before("last_signed_in_at", instant()?),
        "email_verified" => Condition::EmailVerified(
            value
                .parse()
                .map_err(|_| Refusal::Value("email_verified is true or false".to_owned()))?,
        ),
        "email" => Condition::Email(value.to_owned()),
        "group" => Condition::Group(value.to_owned()),
        "connection" => Condition::Connection(value.to_owned()),
        "q" => Condition::Search(value.to_owned()),
        _ => {
            let refusal = match exeat_gate::catalog().never(key) {
                Some(why) => format!("\"{key}\" is never exported, so nobody may filter by it: {why}"),
                None => format!("there is no filter \"{key}\"; there are {KEYS}"),
            };
            return Err(Refusal::Key(refusal));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_become_bound_parameters() {
        let filter =
            Filter::parse(&["state=active,invited", "created_after=2025-01-01", "q=O'Brien"]).unwrap();
        let (sql, parameters) = filter.sqlite(2);
        assert!(
            sql.starts_with(" AND +u.state IN (?2, ?3) AND +u.created_at >= ?4"),
            "{sql}"
        );
        assert!(!sql.contains("Brien"));
        assert_eq!(parameters.len(), 4);
        assert_eq!(parameters[3], Parameter::Text("o'brien".to_owned()));
    }

    #[test]
    fn errors_point_at_their_place() {
        let cases: [(&[&str], usize, usize, &str); 6] = [
            (&["state"], 0, 5, "a condition is written key=value"),
            (
                &["state=active", "colour=red"],
                1,
                0,
                "there is no filter \"colour\"",
            ),
            (&["state=alive"], 0, 6, "a state is invited"),
            (&["created_after=soon"], 0, 14, "a time is a date"),
            (&["password_hash=x"], 0, 0, "\"password_hash\" is never exported"),
            (&["q=a", "q=b"], 1, 0, "the filter \"q\" is given twice"),
        ];
        for (conditions, index, offset, reason) in cases {
            let error = Filter::parse(conditions).unwrap_err();
            assert_eq!((error.index, error.offset), (index, offset), "{conditions:?}");
            assert!(error.reason.starts_with(reason), "{}", error.reason);
        }
    }
}
