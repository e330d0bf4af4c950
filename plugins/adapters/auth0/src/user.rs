//! One user, as Auth0's import schema has it.

use exeat_sdk::{AdapterPlan, AnyColumn, Bool, Fault, Json, Reject, Row, Sink, Text, Value};
use serde::Serialize;
use serde_json::{Map, json};

use crate::config::Config;

/// Lengths in characters: Auth0's documentation, "User Profile Structure".
const MAX_NAME_CHARS: usize = 150;
const MAX_NICKNAME_CHARS: usize = 350;
const MAX_USERNAME_CHARS: usize = 128;
const MAX_EMAIL_CHARS: usize = 254;
const MAX_EMAIL_LOCAL_CHARS: usize = 64;

/// Top-level keys that `app_metadata` must not have.
const FORBIDDEN_IN_APP_METADATA: [&str; 19] = [
    "__tenant",
    "_id",
    "blocked",
    "clientID",
    "created_at",
    "email_verified",
    "email",
    "globalClientID",
    "global_client_id",
    "identities",
    "lastIP",
    "lastLogin",
    "loginsCount",
    "metadata",
    "multifactor_last_modified",
    "multifactor",
    "updated_at",
    "user_id",
    "last_login",
];

/// The key of `app_metadata` under which we keep what has no other place.
const KEPT: &str = "exeat";

/// The columns that the adapter reads. All but the e-mail address may be missing.
#[derive(Debug)]
pub(crate) struct Columns {
    user_id: Option<Text>,
    email: Text,
    email_verified: Option<Bool>,
    username: Option<Text>,
    name: Option<Text>,
    given_name: Option<Text>,
    family_name: Option<Text>,
    nickname: Option<Text>,
    picture: Option<Text>,
    state: Option<Text>,
    user_metadata: Option<Json>,
    app_metadata: Option<Json>,
    kept: Vec<(String, AnyColumn)>,
}

/// A user, ready to be written. Keys in the order of Auth0's schema.
#[derive(Debug, Serialize)]
pub(crate) struct User<'a> {
    pub(crate) email: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_verified: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    given_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    family_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nickname: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    picture: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    blocked: bool,
    #[serde(skip_serializing_if = "Map::is_empty")]
    app_metadata: Map<String, serde_json::Value>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    user_metadata: Map<String, serde_json::Value>,
}

impl User<'_> {
    pub(crate) fn to_json(&self) -> Result<Vec<u8>, Reject> {
        serde_json::to_vec(self).map_err(|_| Reject::new("not_json", "the user cannot be written as JSON"))
    }
}

impl Columns {
    pub(crate) fn plan(config: &Config, plan: &mut AdapterPlan) -> Result<Self, Fault> {
        let on_offer = |plan: &AdapterPlan, name: &str| plan.find(name).is_some();
        fn text(plan: &mut AdapterPlan, name: &str) -> Result<Option<Text>, Fault> {
            plan.find(name)
                .is_some()
                .then(|| plan.read_text(name))
                .transpose()
        }
        fn json(plan: &mut AdapterPlan, name: &str) -> Result<Option<Json>, Fault> {
            plan.find(name)
                .is_some()
                .then(|| plan.read_json(name))
                .transpose()
        }
        let mut kept = Vec::new();
        for field in &config.keep {
            if on_offer(plan, field) {
                kept.push((field.clone(), plan.read_any(field)?));
            }
        }
        Ok(Self {
            email: plan.read_text("email")?,
            email_verified: on_offer(plan, "email_verified")
                .then(|| plan.read_bool("email_verified"))
                .transpose()?,
            user_id: text(plan, "user_id")?,
            username: if config.usernames {
                text(plan, "username")?
            } else {
                None
            },
            name: text(plan, "name")?,
            given_name: text(plan, "given_name")?,
            family_name: text(plan, "family_name")?,
            nickname: text(plan, "nickname")?,
            picture: text(plan, "picture")?,
            state: text(plan, "state")?,
            user_metadata: json(plan, "custom_attributes")?,
            app_metadata: json(plan, "app_metadata")?,
            kept,
        })
    }

    pub(crate) fn is_deleted(&self, row: Row<'_>) -> bool {
        self.state.and_then(|state| row.text(state)) == Some("deleted")
    }

    /// The user of a row. What Auth0 cannot hold is left out and counted as a loss; without a
    /// usable e-mail address there is no user.
    pub(crate) fn user<'a>(&self, row: Row<'a>, out: &mut Sink) -> Result<User<'a>, Reject> {
        let text = |column: Option<Text>| {
            column
                .and_then(|column| row.text(column))
                .filter(|text| !text.is_empty())
        };
        let user_metadata = metadata(
            self.user_metadata.and_then(|column| row.json(column)),
            "custom_attributes",
            out,
        );
        let mut app_metadata = metadata(
            self.app_metadata.and_then(|column| row.json(column)),
            "app_metadata",
            out,
        );
        app_metadata.retain(|key, _| {
            let allowed = !FORBIDDEN_IN_APP_METADATA.contains(&key.as_str());
            if !allowed {
                out.loss("app_metadata", "Auth0 keeps this key for itself");
            }
            allowed
        });
        let kept = self.kept(row);
        if !kept.is_empty() {
            app_metadata.insert(KEPT.to_owned(), kept.into());
        }
        Ok(User {
            email: self.email(row)?,
            email_verified: self.email_verified.and_then(|column| row.bool(column)),
            user_id: text(self.user_id).map(|id| id.strip_prefix("auth0|").unwrap_or(id)),
            username: fit("username", text(self.username), out, is_username).map(str::to_lowercase),
            given_name: fit("given_name", text(self.given_name), out, |name| {
                shorter(name, MAX_NAME_CHARS)
            }),
            family_name: fit("family_name", text(self.family_name), out, |name| {
                shorter(name, MAX_NAME_CHARS)
            }),
            name: fit("name", text(self.name), out, |name| shorter(name, MAX_NAME_CHARS)),
            nickname: fit("nickname", text(self.nickname), out, |name| {
                shorter(name, MAX_NICKNAME_CHARS)
            }),
            picture: fit("picture", text(self.picture), out, is_web_address),
            blocked: text(self.state) == Some("suspended"),
            app_metadata,
            user_metadata,
        })
    }

    fn email<'a>(&self, row: Row<'a>) -> Result<&'a str, Reject> {
        let Some(email) = row.text(self.email).filter(|email| !email.is_empty()) else {
            return Err(Reject::new("missing", "Auth0 requires an e-mail address").field("email"));
        };
        let fits = email.rsplit_once('@').is_some_and(|(local, domain)| {
            !local.is_empty() && !domain.is_empty() && shorter(local, MAX_EMAIL_LOCAL_CHARS)
        });
        if !fits
            || !shorter(email, MAX_EMAIL_CHARS)
            || email.chars().any(|c| c.is_whitespace() || c.is_control())
        {
            return Err(
                Reject::new("format", "this is not an e-mail address that Auth0 takes").field("email"),
            );
        }
        Ok(email)
    }

    fn kept(&self, row: Row<'_>) -> Map<String, serde_json::Value> {
        let values = self
            .kept
            .iter()
            .filter_map(|(name, column)| Some((name.clone(), to_json(row.value(*column))?)));
        values.collect()
    }
}

/// A value for `app_metadata`; nothing where it is missing.
fn to_json(value: Value<'_>) -> Option<serde_json::Value> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(value) => json!(value),
        Value::Int(value) => json!(value),
        Value::Float(value) => json!(value),
        Value::Text(text) => json!(text),
        Value::Json(text) => serde_json::from_str(text).ok()?,
        Value::List(items) => items.iter().collect(),
        Value::Timestamp(micros) => json!(jiff::Timestamp::from_microsecond(micros).ok()?.to_string()),
    })
}

/// A metadata object without the keys that Auth0 refuses.
fn metadata(json: Option<&str>, field: &str, out: &mut Sink) -> Map<String, serde_json::Value> {
    match json.map(serde_json::from_str) {
        None | Some(Ok(serde_json::Value::Null)) => Map::new(),
        Some(Ok(serde_json::Value::Object(mut members))) => {
            members.retain(|key, _| {
                let allowed = !key.contains(['.', '$']);
                if !allowed {
                    out.loss(field, "a key must not contain a dot or a dollar sign");
                }
                allowed
            });
            members
        }
        Some(_) => {
            out.loss(field, "this is not a JSON object");
            Map::new()
        }
    }
}

/// The text if Auth0 takes it; otherwise a loss.
fn fit<'a>(
    field: &str,
    text: Option<&'a str>,
    out: &mut Sink,
    fits: impl Fn(&str) -> bool,
) -> Option<&'a str> {
    let text = text?;
    if fits(text) {
        return Some(text);
    }
    out.loss(field, "Auth0 does not take this length or form");
    None
}

fn shorter(text: &str, chars: usize) -> bool {
    text.chars().count() <= chars
}

fn is_username(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "@^$.!`-#+'~_".contains(c);
    let email = text
        .split_once('@')
        .is_some_and(|(_, domain)| domain.contains('.'));
    shorter(text, MAX_USERNAME_CHARS) && text.chars().all(allowed) && !email
}

fn is_web_address(text: &str) -> bool {
    (text.starts_with("https://") || text.starts_with("http://")) && !text.contains(char::is_whitespace)
}
