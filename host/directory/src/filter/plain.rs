//! The plain form of the list view: `state=active`, `created_after=2025-01-01`.

use super::{Comparison, Test, TextField, TextMatch};
use crate::record::UserState;
use crate::time::parse_instant;

/// Keys that a filter may have, for messages.
const KEYS: &str = "state, created_after, created_before, updated_after, updated_before, last_signed_in_after, \
                    last_signed_in_before, email_verified, email, group, connection, q";
pub(super) const MAX_VALUE_CHARS: usize = 256;

/// Whether this may stand before an `=`: an expression of SCIM has white space there, or brackets.
pub(super) fn is_key(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Where a condition is wrong.
pub(super) enum Refusal {
    Key(String),
    Value(String),
}

/// What a condition asks.
pub(super) fn parse(key: &str, value: &str) -> Result<Test, Refusal> {
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
    let equal = |field| Test::Text(field, TextMatch::EQUAL, value.to_owned());
    Ok(match key {
        "state" => {
            let states = value.split(',').map(|name| UserState::parse(name.trim()));
            let states: Option<Vec<UserState>> = states.collect();
            Test::State(states.ok_or_else(|| {
                Refusal::Value(
                    "a state is invited, active, suspended or deleted; several with commas".to_owned(),
                )
            })?)
        }
        "created_after" => Test::Instant("created_at", Comparison::GreaterOrEqual, instant()?),
        "created_before" => Test::Instant("created_at", Comparison::Less, instant()?),
        "updated_after" => Test::Instant("updated_at", Comparison::GreaterOrEqual, instant()?),
        "updated_before" => Test::Instant("updated_at", Comparison::Less, instant()?),
        "last_signed_in_after" => Test::Instant("last_signed_in_at", Comparison::GreaterOrEqual, instant()?),
        "last_signed_in_before" => Test::Instant("last_signed_in_at", Comparison::Less, instant()?),
        "email_verified" => Test::Flag(
            "email_verified",
            value
                .parse()
                .map_err(|_| Refusal::Value("email_verified is true or false".to_owned()))?,
        ),
        "email" => equal(TextField::EMAIL),
        "group" => Test::Group(Some((TextMatch::EQUAL, value.to_owned()))),
        "connection" => equal(TextField::CONNECTION),
        "q" => Test::Search(value.to_owned()),
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
    use crate::filter::{Filter, Parameter};

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
            (&["state"], 0, 12, "expected an operator"),
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
