//! One user out of the members of a JSON object, ours or Auth0's.

use exeat_gate::{ColumnType, catalog};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use ulid::Ulid;

use super::Refusal;
use crate::record::{Identity, UserRecord, UserState};
use crate::time::{now_us, parse_instant};

/// Longest text of a field, in bytes. Attributes may be as long as a line.
const MAX_TEXT_BYTES: usize = 4_096;
const MAX_GROUPS: usize = 1_000;
/// Longest dotted path of a CSV title, in segments.
const MAX_PATH_SEGMENTS: usize = 16;

/// Members that Auth0's exports have and users here do not: read, not kept.
const AUTH0_ONLY: [&str; 6] = [
    "multifactor",
    "multifactor_last_modified",
    "last_password_reset",
    "connection_id",
    "email_domain",
    "tenant",
];

/// Auth0's names, and ours.
const ALIASES: [(&str, &str); 2] = [
    ("user_metadata", "custom_attributes"),
    ("last_login", "last_signed_in_at"),
];

/// Whether a member of this name, or a dotted path into one, can be imported.
pub(super) fn is_member(title: &str) -> bool {
    if title.split('.').count() > MAX_PATH_SEGMENTS {
        return false;
    }
    let root = title.split('.').next().unwrap_or(title);
    let derived = ["phone_last_four", "mfa_factor_count"];
    let ours = catalog().field(root).is_some() && !derived.contains(&root);
    let dotted = root != title && !matches!(canonical(root), "custom_attributes" | "app_metadata");
    (ours
        || ALIASES.iter().any(|(alias, _)| *alias == root)
        || root == "blocked"
        || root == "phone_number"
        || AUTH0_ONLY.contains(&root))
        && !dotted
}

fn canonical(name: &str) -> &str {
    ALIASES
        .iter()
        .find(|(alias, _)| *alias == name)
        .map_or(name, |(_, ours)| ours)
}

/// The JSON value of a CSV cell; nothing where it is empty. Auth0 writes a `'` before every
/// string, and we one before what a spreadsheet would take for a formula: both are taken away.
pub(super) fn from_cell(title: &str, cell: &str, from_auth0: bool) -> Result<Option<Value>, Refusal> {
    let cell = match cell.strip_prefix('\'') {
        Some(rest) if from_auth0 || rest.starts_with(['=', '+', '-', '@', '\t', '\r']) => rest,
        _ => cell,
    };
    if cell.is_empty() {
        return Ok(None);
    }
    if title.contains('.') {
        return Ok(Some(Value::from(cell)));
    }
    let column_type = match canonical(title) {
        "blocked" => ColumnType::Boolean,
        name => catalog()
            .field(name)
            .map_or(ColumnType::Utf8, |field| field.column_type),
    };
    Ok(Some(match column_type {
        ColumnType::Boolean => Value::from(
            cell.parse::<bool>()
                .map_err(|_| Refusal::field(title, "this is neither true nor false"))?,
        ),
        ColumnType::Int64 => Value::from(
            cell.parse::<i64>()
                .map_err(|_| Refusal::field(title, "this is not a whole number"))?,
        ),
        ColumnType::Json => {
            serde_json::from_str(cell).map_err(|_| Refusal::field(title, "this is not JSON"))?
        }
        ColumnType::Utf8List => split_list(cell).into(),
        ColumnType::Utf8 | ColumnType::TimestampUs | ColumnType::Float64 => Value::from(cell),
    }))
}

/// Names joined by commas; a backslash before a comma or a backslash makes it part of the name.
fn split_list(cell: &str) -> Vec<String> {
    let mut names = vec![String::new()];
    let mut escaped = false;
    for c in cell.chars() {
        match c {
            '\\' if !escaped => {
                escaped = true;
                continue;
            }
            ',' if !escaped => names.push(String::new()),
            c => names.last_mut().expect("there is always a last name").push(c),
        }
        escaped = false;
    }
    names
}

/// Puts a value under its name, or under a dotted path: `user_metadata.country`.
pub(super) fn insert_at(members: &mut Map<String, Value>, title: &str, value: Value) {
    match title.split_once('.') {
        None => {
            members.insert(title.to_owned(), value);
        }
        Some((root, rest)) => {
            let inner = members.entry(root).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                insert_at(inner, rest, value);
            }
        }
    }
}

/// The user, or the first thing that is wrong with it.
pub(super) fn from_members(members: Map<String, Value>) -> Result<UserRecord, Refusal> {
    let mut members = Members::new(members)?;
    let foreign_id = members.text("user_id")?.ok_or_else(|| {
        Refusal::field(
            "user_id",
            "it is missing, and a repeated import finds its users by it",
        )
    })?;
    let user_id = own_id(&foreign_id)?;
    let identities = identities(&mut members, &foreign_id)?;
    let created_at = members.instant("created_at")?;
    let updated_at = members.instant("updated_at")?;
    let now = now_us();
    let created_at = created_at.or(updated_at).unwrap_or(now);
    let user = UserRecord {
        connection: members.text("connection")?.or_else(|| {
            identities
                .as_ref()
                .and_then(|identities| identities.first())
                .map(|first| first.connection.clone())
        }),
        user_id,
        username: members.text("username")?,
        email: members.text("email")?,
        email_verified: members.bool("email_verified")?.unwrap_or_default(),
        phone_number: members.text("phone_number")?,
        phone_verified: members.bool("phone_verified")?.unwrap_or_default(),
        name: members.text("name")?,
        given_name: members.text("given_name")?,
        family_name: members.text("family_name")?,
        nickname: members.text("nickname")?,
        picture: members.text("picture")?,
        locale: members.text("locale")?,
        state: state(&mut members)?,
        created_at,
        updated_at: updated_at.unwrap_or(created_at),
        last_signed_in_at: members.instant("last_signed_in_at")?,
        last_ip: members.text("last_ip")?,
        logins_count: members.count("logins_count")?,
        custom_attributes: members.object("custom_attributes")?,
        app_metadata: members.object("app_metadata")?,
        groups: groups(&mut members)?,
        identities,
        secrets: None,
    };
    members.nothing_left()?;
    Ok(user)
}

/// Our own ids are kept; any other becomes the ULID that its digest is.
fn own_id(id: &str) -> Result<String, Refusal> {
    if let Some(ulid) = id.strip_prefix("usr_") {
        let ulid = Ulid::from_string(ulid)
            .map_err(|_| Refusal::field("user_id", "usr_ is not followed by a ULID"))?;
        return Ok(format!("usr_{ulid}"));
    }
    let digest = Sha256::digest(format!("exeat import\0{id}"));
    let bytes: [u8; 16] = digest[..16].try_into().expect("a SHA-256 digest has 32 bytes");
    Ok(format!("usr_{}", Ulid::from(u128::from_be_bytes(bytes))))
}

fn state(members: &mut Members) -> Result<UserState, Refusal> {
    let blocked = members.bool("blocked")?;
    match members.text("state")? {
        Some(name) => UserState::parse(&name)
            .ok_or_else(|| Refusal::field("state", "a state is invited, active, suspended or deleted")),
        None if blocked == Some(true) => Ok(UserState::Suspended),
        None => Ok(UserState::Active),
    }
}

fn groups(members: &mut Members) -> Result<Option<Vec<String>>, Refusal> {
    let wrong = || Refusal::field("groups", "groups are a list of names");
    match members.take("groups") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(items)) if items.len() <= MAX_GROUPS => {
            let names = items.into_iter().map(|item| match item {
                Value::String(name) if !name.is_empty() && name.len() <= MAX_TEXT_BYTES => Ok(name),
                _ => Err(wrong()),
            });
            names.collect::<Result<_, _>>().map(Some)
        }
        Some(_) => Err(wrong()),
    }
}

/// Identities as we export them (`subject`) or as Auth0 does (`user_id`). A user of another
/// platform keeps its old id as one.
fn identities(members: &mut Members, foreign_id: &str) -> Result<Option<Vec<Identity>>, Refusal> {
    let wrong = |what: &str| Refusal::field("identities", what);
    let items = match members.take("identities") {
        Some(Value::Array(items)) => items,
        None | Some(Value::Null) => {
            let old = foreign_id.split_once('|').map(|(provider, subject)| Identity {
                connection: provider.to_owned(),
                provider: provider.to_owned(),
                subject: subject.to_owned(),
                access_token: None,
                refresh_token: None,
                id_token: None,
            });
            return Ok(old.map(|old| vec![old]));
        }
        Some(_) => return Err(wrong("identities are a list of objects")),
    };
    let identity = |item: Value| {
        let Value::Object(mut item) = item else {
            return Err(wrong("an identity is an object"));
        };
        let mut text = |name: &str| match item.remove(name) {
            Some(Value::String(text)) => Some(text),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        };
        let provider = text("provider").ok_or_else(|| wrong("an identity has no provider"))?;
        let subject = text("subject").or_else(|| text("user_id"));
        Ok(Identity {
            connection: text("connection").unwrap_or_else(|| provider.clone()),
            subject: subject.ok_or_else(|| wrong("an identity has no subject"))?,
            provider,
            access_token: text("access_token"),
            refresh_token: text("refresh_token"),
            id_token: None,
        })
    };
    items
        .into_iter()
        .map(identity)
        .collect::<Result<_, _>>()
        .map(Some)
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(has_nul),
        Value::Object(members) => members.values().any(has_nul),
        _ => false,
    }
}

/// Members not yet taken, under our names.
struct Members(Map<String, Value>);

impl Members {
    fn new(members: Map<String, Value>) -> Result<Self, Refusal> {
        let mut ours = Map::with_capacity(members.len());
        for (name, value) in members {
            if AUTH0_ONLY.contains(&name.as_str()) {
                continue;
            }
            let renamed = canonical(&name).to_owned();
            // PostgreSQL has no such text. Inside JSON, where it is written \u0000, it may stay.
            if !matches!(&*renamed, "custom_attributes" | "app_metadata") && has_nul(&value) {
                return Err(Refusal::field(&name, "the text has the character U+0000"));
            }
            if ours.insert(renamed, value).is_some() {
                return Err(Refusal::field(&name, "it is given twice, under two names"));
            }
        }
        Ok(Self(ours))
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name)
    }

    fn text(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        match self.take(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.len() <= MAX_TEXT_BYTES => Ok(Some(text)),
            Some(Value::String(_)) => Err(Refusal::field(
                name,
                format!("the text is longer than {MAX_TEXT_BYTES} bytes"),
            )),
            Some(_) => Err(Refusal::field(name, "this is not text")),
        }
    }

    fn bool(&mut self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.take(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(value)),
            Some(_) => Err(Refusal::field(name, "this is neither true nor false")),
        }
    }

    fn count(&mut self, name: &str) -> Result<i64, Refusal> {
        match self.take(name) {
            None | Some(Value::Null) => Ok(0),
            Some(value) => value
                .as_i64()
                .filter(|count| *count >= 0)
                .ok_or_else(|| Refusal::field(name, "this is not a whole number from 0")),
        }
    }

    fn instant(&mut self, name: &str) -> Result<Option<i64>, Refusal> {
        match self.text(name)? {
            None => Ok(None),
            Some(text) => {
                let wrong = || Refusal::field(name, "this is not an RFC 3339 instant, 2025-01-01T12:00:00Z");
                parse_instant(&text).map(Some).ok_or_else(wrong)
            }
        }
    }

    /// A JSON object as text; an empty one where there is none.
    fn object(&mut self, name: &str) -> Result<String, Refusal> {
        match self.take(name) {
            None | Some(Value::Null) => Ok("{}".to_owned()),
            Some(value @ Value::Object(_)) => Ok(value.to_string()),
            Some(_) => Err(Refusal::field(name, "this is not a JSON object")),
        }
    }

    /// Nothing is dropped in silence: what nobody took is an error, but for what is only derived.
    fn nothing_left(&self) -> Result<(), Refusal> {
        let derived = ["phone_last_four", "mfa_factor_count"];
        let left = self.0.keys().find(|name| !derived.contains(&name.as_str()));
        left.map_or(Ok(()), |name| match catalog().never(name) {
            Some(_) => Err(Refusal::field(name, "credentials are not imported this way")),
            None => Err(Refusal::field(name, "users have no such field")),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn import(value: Value) -> Result<UserRecord, (Option<String>, String)> {
        let Value::Object(members) = value else {
            panic!("an object")
        };
        from_members(members).map_err(|refusal| (refusal.field, refusal.reason))
    }

    #[test]
    fn an_auth0_user_becomes_one_of_ours_and_always_the_same() {
        let auth0 = json!({
            "user_id": "auth0|abc", "email": "a@example.com", "blocked": true, "last_login": "2026-01-01T00:00:00.000Z",
            "user_metadata": {"country": "DE"}, "multifactor": ["guardian"],
            "identities": [{"connection": "db", "provider": "auth0", "user_id": "abc", "isSocial": false}]
        });
        let user = import(auth0.clone()).unwrap();
        assert_eq!(user.user_id, import(auth0).unwrap().user_id);
        assert_eq!(user.state, UserState::Suspended);
        assert_eq!(user.custom_attributes, r#"{"country":"DE"}"#);
        assert_eq!(user.connection.as_deref(), Some("db"));
        assert_eq!(user.identities.unwrap()[0].subject, "abc");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_field_and_without_its_value() {
        let id = "usr_01ARZ3NDEKTSV4RRFFQ69G5FAV";
        let cases = [
            (json!({"email": "a@b.c"}), "user_id"),
            (json!({"user_id": "usr_x"}), "user_id"),
            (json!({"user_id": id, "email_verified": "yes"}), "email_verified"),
            (json!({"user_id": id, "created_at": "yesterday"}), "created_at"),
            (json!({"user_id": id, "state": "alive"}), "state"),
            (json!({"user_id": id, "groups": "A,B"}), "groups"),
            (json!({"user_id": id, "name": "a\u{0}b"}), "name"),
            (json!({"user_id": id, "groups": ["a\u{0}b"]}), "groups"),
            (
                json!({"user_id": id, "custom_attributes": []}),
                "custom_attributes",
            ),
            (json!({"user_id": id, "password_hash": "$2b$"}), "password_hash"),
            (json!({"user_id": id, "shoe_size": 42}), "shoe_size"),
        ];
        for (line, field) in cases {
            let (named, reason) = import(line).unwrap_err();
            assert_eq!(named.as_deref(), Some(field));
            assert!(!reason.contains("$2b$") && !reason.contains("yesterday"));
        }
    }

    #[test]
    fn cells_become_what_they_stand_for() {
        assert_eq!(
            from_cell("email_verified", "true", false).ok().flatten(),
            Some(json!(true))
        );
        assert_eq!(
            from_cell("groups", r"A\,B,C", false).ok().flatten(),
            Some(json!(["A,B", "C"]))
        );
        assert_eq!(
            from_cell("name", "'=1+1", false).ok().flatten(),
            Some(json!("=1+1"))
        );
        assert_eq!(from_cell("name", "", false).ok().flatten(), None);
        assert!(from_cell("logins_count", "many", false).is_err());
    }
}
