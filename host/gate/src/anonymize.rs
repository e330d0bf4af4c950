//! The anonymize toggle: who a row is about must not be told by any other value.

use serde_json::{Map, Value};

use crate::batch::Suppressed;

/// What stands where something was removed.
pub(crate) const REDACTED: &str = "[redacted]";

/// Longest JSON key that is taken for a key and not for content.
const MAX_KEY_CHARS: usize = 64;

/// The names by which one user is known, in lower case.
#[derive(Default)]
pub(crate) struct Witnesses(Vec<String>);

impl Witnesses {
    /// The fields that tell who a row is about. The gate reads them to find them elsewhere.
    pub(crate) const FIELDS: [&str; 6] = [
        "email",
        "username",
        "name",
        "given_name",
        "family_name",
        "nickname",
    ];

    pub(crate) fn of(values: impl Iterator<Item = String>) -> Self {
        let names = values.map(|value| value.trim().to_lowercase());
        // One or two Latin letters would be found in everything.
        Self(names.filter(|name| name.len() > 2).collect())
    }

    /// Whether a text holds an e-mail address or one of the names. A Latin name must stand by
    /// itself, so that Ann is not found in planning.
    pub(crate) fn tell(&self, text: &str) -> bool {
        if text.contains('@') {
            return true;
        }
        let text = text.to_lowercase();
        self.0.iter().any(|name| {
            let mut places = text.match_indices(name.as_str());
            places.any(|(at, found)| !name.is_ascii() || stands_alone(&text, at, at + found.len()))
        })
    }
}

fn stands_alone(text: &str, from: usize, to: usize) -> bool {
    let before = text[..from].chars().next_back();
    let after = text[to..].chars().next();
    !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
}

/// Redacts every string inside a JSON value, and every key that may be content:
/// nobody can say which attribute holds a person's name.
pub(crate) fn redact_json(value: &mut Value, witnesses: &Witnesses, suppressed: &mut Suppressed) {
    match value {
        Value::String(text) => {
            REDACTED.clone_into(text);
            suppressed.redacted += 1;
        }
        Value::Array(items) => {
            items
                .iter_mut()
                .for_each(|item| redact_json(item, witnesses, suppressed));
        }
        Value::Object(members) => {
            let mut redacted = Map::with_capacity(members.len());
            for (key, mut member) in std::mem::take(members) {
                redact_json(&mut member, witnesses, suppressed);
                let key = if is_plain_key(&key) && !witnesses.tell(&key) {
                    key
                } else {
                    suppressed.redacted += 1;
                    free_key(&redacted)
                };
                redacted.insert(key, member);
            }
            *members = redacted;
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn is_plain_key(key: &str) -> bool {
    key.len() <= MAX_KEY_CHARS
        && key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-.:".contains(&b))
}

fn free_key(members: &Map<String, Value>) -> String {
    (1..)
        .map(|n| {
            if n == 1 {
                REDACTED.to_owned()
            } else {
                format!("{REDACTED} {n}")
            }
        })
        .find(|key| !members.contains_key(key))
        .expect("a map has finitely many keys")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_and_every_telling_key_is_redacted() {
        let witnesses = Witnesses::of(["anita@example.com".to_owned(), "anita".to_owned()].into_iter());
        let mut value = serde_json::json!({
            "manager": "Bob Miller", "level": 3, "Zoë Smith": [true, "x"], "friend_of_Anita": 1
        });
        let mut suppressed = Suppressed::default();
        redact_json(&mut value, &witnesses, &mut suppressed);
        assert_eq!(
            value.to_string(),
            r#"{"manager":"[redacted]","level":3,"[redacted]":[true,"[redacted]"],"[redacted] 2":1}"#
        );
        assert_eq!(suppressed.redacted, 4);
    }
}
