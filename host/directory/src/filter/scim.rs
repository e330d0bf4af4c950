//! SCIM's filter expressions (RFC 7644 §3.4.2.2), over Exeat's fields.
//!
//! ```text
//! state eq "active" and (email ew "@example.com" or not (groups eq "Contractors"))
//! custom_attributes.department eq "Sales" and last_signed_in_at lt "2026-01-01"
//! ```
//!
//! Attributes have the names of fields, or those of SCIM's user schema (RFC 7643 §4.1) where it has
//! the same. Operators and attributes are of any case. Of a value path, `emails[type eq "work"]`,
//! there is nothing to be asked: no field has parts.

use serde_json::Value;

use super::plain::MAX_VALUE_CHARS;
use super::{Comparison, Expression, JsonPath, JsonTest, Part, Test, TextField, TextMatch};
use crate::record::UserState;
use crate::time::parse_instant;

const MAX_CHARS: usize = 4_096;
const MAX_DEPTH: usize = 32;
/// Keys of a path into attributes.
const MAX_KEYS: usize = 8;
/// What SCIM's own attributes may be called in full (RFC 7643 §4.1).
const USER_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:user:";

/// Names of SCIM's user schema, in lower case, and the fields that are the same.
const SCIM_NAMES: [(&str, &str); 12] = [
    ("id", "user_id"),
    ("username", "username"),
    ("displayname", "name"),
    ("name.formatted", "name"),
    ("name.givenname", "given_name"),
    ("name.familyname", "family_name"),
    ("emails", "email"),
    ("emails.value", "email"),
    ("groups.display", "groups"),
    ("photos.value", "picture"),
    ("meta.created", "created_at"),
    ("meta.lastmodified", "updated_at"),
];
const INSTANTS: [&str; 3] = ["created_at", "updated_at", "last_signed_in_at"];
const FLAGS: [&str; 2] = ["email_verified", "phone_verified"];
const ATTRIBUTES: [&str; 2] = ["custom_attributes", "app_metadata"];

/// What is wrong with an expression.
#[derive(Debug)]
pub(super) struct Refusal {
    /// Where, in characters from 0.
    pub(super) offset: usize,
    pub(super) reason: String,
    /// Whether it asks about something that never leaves.
    pub(super) never: bool,
}

/// What an expression asks.
pub(super) fn parse(text: &str) -> Result<Expression, Refusal> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        at: 0,
        end: text.chars().count(),
    };
    let expression = parser.any(0)?;
    match parser.peek() {
        None => Ok(expression),
        Some(token) => Err(refusal(
            token.offset,
            "expected \"and\", \"or\" or the end of the filter",
        )),
    }
}

fn refusal(offset: usize, reason: impl Into<String>) -> Refusal {
    Refusal {
        offset,
        reason: reason.into(),
        never: false,
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Open,
    Close,
    /// An attribute, an operator, `and`, `or`, `not`, `true`, `false`, `null`.
    Word(String),
    /// A text or a number.
    Value(Value),
}

#[derive(Clone, Debug)]
struct Token {
    offset: usize,
    kind: Kind,
}

fn tokens(text: &str) -> Result<Vec<Token>, Refusal> {
    if text.chars().count() > MAX_CHARS {
        return Err(refusal(
            MAX_CHARS,
            format!("a filter has at most {MAX_CHARS} characters"),
        ));
    }
    let mut tokens = Vec::new();
    let mut rest = text;
    let mut offset = 0;
    while let Some(first) = rest.chars().next() {
        let (length, kind) = match first {
            _ if first.is_whitespace() => (first.len_utf8(), None),
            '(' => (1, Some(Kind::Open)),
            ')' => (1, Some(Kind::Close)),
            '[' | ']' => {
                let reason = "no attribute has parts that could be asked for in brackets; \
                              write them out: groups eq \"Engineering\"";
                return Err(refusal(offset, reason));
            }
            '"' => {
                let length = string_length(rest)
                    .ok_or_else(|| refusal(offset, "the text that begins here has no closing quote"))?;
                (length, Some(Kind::Value(json_value(&rest[..length], offset)?)))
            }
            '-' | '0'..='9' => {
                let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c)));
                let length = length.unwrap_or(rest.len());
                (length, Some(Kind::Value(json_value(&rest[..length], offset)?)))
            }
            _ if first.is_ascii_alphabetic() => {
                let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "_-.:$".contains(c)));
                let length = length.unwrap_or(rest.len());
                (length, Some(Kind::Word(rest[..length].to_owned())))
            }
            _ => {
                let reason = "expected an attribute, an operator, a text in double quotes or a parenthesis";
                return Err(refusal(offset, reason));
            }
        };
        tokens.extend(kind.map(|kind| Token { offset, kind }));
        offset += rest[..length].chars().count();
        rest = &rest[length..];
    }
    Ok(tokens)
}

/// Bytes of the JSON string that begins here, with its quotes.
fn string_length(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return Some(at + 1),
            _ => escaped = c == '\\' && !escaped,
        }
    }
    None
}

fn json_value(text: &str, offset: usize) -> Result<Value, Refusal> {
    serde_json::from_str(text).map_err(|_| {
        refusal(
            offset,
            "this is neither a text nor a number as JSON writes them down",
        )
    })
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    /// Offset of the end.
    end: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn offset(&self) -> usize {
        self.peek().map_or(self.end, |token| token.offset)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token { kind: Kind::Word(found), .. }) if found.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    /// `… or …`
    fn any(&mut self, depth: usize) -> Result<Expression, Refusal> {
        let mut parts = vec![self.all(depth)?];
        while self.take_word("or") {
            parts.push(self.all(depth)?);
        }
        Ok(one_or(parts, Expression::Any))
    }

    /// `… and …`, which binds more closely.
    fn all(&mut self, depth: usize) -> Result<Expression, Refusal> {
        let mut parts = vec![self.factor(depth)?];
        while self.take_word("and") {
            parts.push(self.factor(depth)?);
        }
        Ok(one_or(parts, Expression::All))
    }

    fn factor(&mut self, depth: usize) -> Result<Expression, Refusal> {
        if depth > MAX_DEPTH {
            return Err(refusal(self.offset(), "parentheses are nested too deeply"));
        }
        let negated = self.take_word("not");
        let opened = matches!(self.peek(), Some(Token { kind: Kind::Open, .. }));
        if negated && !opened {
            return Err(refusal(
                self.offset(),
                "expected a parenthesis after \"not\": not (…)",
            ));
        }
        if !opened {
            return self.test();
        }
        self.at += 1;
        let inner = self.any(depth + 1)?;
        let closed = self.offset();
        match self.next() {
            Some(Token {
                kind: Kind::Close, ..
            }) if negated => Ok(Expression::Not(Box::new(inner))),
            Some(Token {
                kind: Kind::Close, ..
            }) => Ok(inner),
            _ => Err(refusal(
                closed,
                "expected \"and\", \"or\" or a closing parenthesis",
            )),
        }
    }

    fn test(&mut self) -> Result<Expression, Refusal> {
        let (at, name) = self.word("expected an attribute, such as state or created_at")?;
        let attribute = Attribute::find(&name).map_err(|refusal| Refusal {
            offset: at,
            ..refusal
        })?;
        let (operator_at, operator) =
            self.word("expected an operator: eq, ne, co, sw, ew, gt, ge, lt, le or pr")?;
        let operator = Operator::find(&operator).ok_or_else(|| {
            refusal(
                operator_at,
                format!(
                    "there is no operator \"{operator}\"; there are eq, ne, co, sw, ew, gt, ge, lt, le, pr"
                ),
            )
        })?;
        if operator == Operator::Present {
            return Ok(attribute.present());
        }
        let value_at = self.offset();
        let value = match self.next().map(|token| token.kind) {
            Some(Kind::Value(value)) => value,
            Some(Kind::Word(word)) if word == "true" => Value::Bool(true),
            Some(Kind::Word(word)) if word == "false" => Value::Bool(false),
            Some(Kind::Word(word)) if word == "null" => Value::Null,
            _ => {
                let reason = "expected a value: a text in double quotes, a number, true, false or null";
                return Err(refusal(value_at, reason));
            }
        };
        if value
            .as_str()
            .is_some_and(|text| text.chars().count() > MAX_VALUE_CHARS)
        {
            let reason = format!("a filter's value has at most {MAX_VALUE_CHARS} characters");
            return Err(refusal(value_at, reason));
        }
        match (operator, value) {
            (Operator::Equal, Value::Null) => Ok(not(attribute.present())),
            (Operator::NotEqual, Value::Null) => Ok(attribute.present()),
            (Operator::NotEqual, value) => Ok(not(attribute
                .compared(Operator::Equal, value)
                .map_err(|wrong| wrong.at(operator_at, value_at))?)),
            (operator, value) => attribute
                .compared(operator, value)
                .map_err(|wrong| wrong.at(operator_at, value_at)),
        }
    }

    fn word(&mut self, expected: &str) -> Result<(usize, String), Refusal> {
        let offset = self.offset();
        match self.next() {
            Some(Token {
                kind: Kind::Word(word),
                ..
            }) => Ok((offset, word)),
            _ => Err(refusal(offset, expected)),
        }
    }
}

fn one_or(mut parts: Vec<Expression>, several: fn(Vec<Expression>) -> Expression) -> Expression {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            several(parts)
        }
        None => several(parts),
    }
}

fn not(expression: Expression) -> Expression {
    Expression::Not(Box::new(expression))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Contains,
    StartsWith,
    EndsWith,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Present,
}

impl Operator {
    fn find(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "eq" => Self::Equal,
            "ne" => Self::NotEqual,
            "co" => Self::Contains,
            "sw" => Self::StartsWith,
            "ew" => Self::EndsWith,
            "gt" => Self::Greater,
            "ge" => Self::GreaterOrEqual,
            "lt" => Self::Less,
            "le" => Self::LessOrEqual,
            "pr" => Self::Present,
            _ => return None,
        })
    }

    /// For what has an order.
    fn comparison(self) -> Option<Comparison> {
        Some(match self {
            Self::Equal => Comparison::Equal,
            Self::Greater => Comparison::Greater,
            Self::GreaterOrEqual => Comparison::GreaterOrEqual,
            Self::Less => Comparison::Less,
            Self::LessOrEqual => Comparison::LessOrEqual,
            _ => return None,
        })
    }

    fn text_match(self) -> Option<TextMatch> {
        Some(match self {
            Self::Contains => TextMatch::Part(Part::Anywhere),
            Self::StartsWith => TextMatch::Part(Part::AtTheBeginning),
            Self::EndsWith => TextMatch::Part(Part::AtTheEnd),
            other => TextMatch::Compared(other.comparison()?),
        })
    }
}

/// What is wrong with a comparison.
enum Wrong {
    Operator(&'static str),
    Value(&'static str),
}

impl Wrong {
    fn at(self, operator: usize, value: usize) -> Refusal {
        match self {
            Self::Operator(reason) => refusal(operator, reason),
            Self::Value(reason) => refusal(value, reason),
        }
    }
}

/// Something that can be asked about.
enum Attribute {
    State,
    /// SCIM's `active`: whether the state is.
    Active,
    Flag(&'static str),
    Instant(&'static str),
    Int(&'static str),
    Text(TextField),
    Groups,
    Json(JsonPath),
}

impl Attribute {
    fn find(name: &str) -> Result<Self, Refusal> {
        let lower = name.to_ascii_lowercase();
        let bare = lower.strip_prefix(USER_SCHEMA).unwrap_or(&lower);
        let scim = SCIM_NAMES.iter().find(|(scim, _)| *scim == bare);
        let field = scim.map_or(bare, |(_, field)| field);
        let known = |names: &[&'static str]| names.iter().find(|name| **name == field).copied();
        if let Some(field) = known(&INSTANTS) {
            return Ok(Self::Instant(field));
        }
        if let Some(field) = known(&FLAGS) {
            return Ok(Self::Flag(field));
        }
        if let Some(field) = TextField::find(field) {
            return Ok(Self::Text(field));
        }
        match field {
            "state" => return Ok(Self::State),
            "active" => return Ok(Self::Active),
            "groups" => return Ok(Self::Groups),
            "logins_count" => return Ok(Self::Int("logins_count")),
            _ => {}
        }
        if let Some((field, keys)) = name.split_once('.')
            && let Some(field) = known_attributes(field)
        {
            return json_path(field, keys);
        }
        // Of a path, each part might be a name that never leaves.
        let never = bare
            .split(['.', ':'])
            .chain([bare])
            .find_map(|part| exeat_gate::catalog().never(part));
        Err(match never {
            Some(why) => Refusal {
                never: true,
                ..refusal(
                    0,
                    format!("\"{name}\" is never exported, so nobody may filter by it: {why}"),
                )
            },
            None if ATTRIBUTES.contains(&bare) => refusal(
                0,
                format!("name a place in \"{bare}\", such as {bare}.department"),
            ),
            None => refusal(
                0,
                format!(
                    "there is no attribute \"{name}\" to filter by; there are state, active, user_id, email, username, \
                 name, given_name, family_name, nickname, locale, picture, last_ip, connection, groups, \
                 email_verified, phone_verified, created_at, updated_at, last_signed_in_at, logins_count, \
                 custom_attributes.KEY and app_metadata.KEY"
                ),
            ),
        })
    }

    fn present(self) -> Expression {
        let field = match self {
            Self::State | Self::Active => "state",
            Self::Flag(field) | Self::Instant(field) | Self::Int(field) => field,
            Self::Text(field) => field.name,
            Self::Groups => return Expression::Test(Test::Group(None)),
            Self::Json(path) => return Expression::Test(Test::Json(path, JsonTest::Present)),
        };
        Expression::Test(Test::Present(field))
    }

    fn compared(self, operator: Operator, value: Value) -> Result<Expression, Wrong> {
        let only_equal = |reason| match operator {
            Operator::Equal => Ok(()),
            _ => Err(Wrong::Operator(reason)),
        };
        let ordered = || {
            operator.comparison().ok_or(Wrong::Operator(
                "this is compared with eq, ne, gt, ge, lt, le or pr",
            ))
        };
        let text = |value: &Value| match value.as_str() {
            Some("") if operator.comparison().is_none() => {
                Err(Wrong::Value("an empty text is part of every text"))
            }
            Some(text) => Ok(text.to_owned()),
            None => Err(Wrong::Value("expected a text in double quotes")),
        };
        let matched = || operator.text_match().ok_or(Wrong::Operator("this is no text"));
        Ok(Expression::Test(match self {
            Self::State => {
                only_equal("a state is compared with eq and ne")?;
                let state = value.as_str().and_then(UserState::parse);
                Test::State(vec![state.ok_or(Wrong::Value(
                    "a state is \"invited\", \"active\", \"suspended\" or \"deleted\"",
                ))?])
            }
            Self::Active => {
                only_equal("active is compared with eq and ne")?;
                let active = Expression::Test(Test::State(vec![UserState::Active]));
                return match value {
                    Value::Bool(true) => Ok(active),
                    Value::Bool(false) => Ok(not(active)),
                    _ => Err(Wrong::Value("active is true or false")),
                };
            }
            Self::Flag(field) => {
                only_equal("true and false are compared with eq and ne")?;
                let yes = value.as_bool();
                Test::Flag(field, yes.ok_or(Wrong::Value("expected true or false"))?)
            }
            Self::Instant(field) => {
                let comparison = ordered()?;
                let at = value.as_str().and_then(parse_instant);
                let at = at.ok_or(Wrong::Value(
                    "a time is a date, \"2025-01-01\", or an RFC 3339 instant, \"2025-01-01T12:00:00Z\"",
                ))?;
                Test::Instant(field, comparison, at)
            }
            Self::Int(field) => {
                let comparison = ordered()?;
                let number = value.as_i64();
                Test::Int(
                    field,
                    comparison,
                    number.ok_or(Wrong::Value("expected a whole number"))?,
                )
            }
            Self::Text(field) => Test::Text(field, matched()?, text(&value)?),
            Self::Groups => match matched()? {
                TextMatch::Compared(comparison) if comparison != Comparison::Equal => {
                    return Err(Wrong::Operator(
                        "groups are compared with eq, ne, co, sw, ew and pr",
                    ));
                }
                how => Test::Group(Some((how, text(&value)?))),
            },
            Self::Json(path) => Test::Json(
                path,
                match &value {
                    Value::Number(_) => JsonTest::Number(ordered()?, value.to_string()),
                    Value::String(_) | Value::Bool(_) => {
                        only_equal("texts, true and false in attributes are compared with eq, ne and pr")?;
                        JsonTest::Equal(value.to_string())
                    }
                    _ => return Err(Wrong::Value("expected a text, a number, true, false or null")),
                },
            ),
        }))
    }
}

fn known_attributes(field: &str) -> Option<&'static str> {
    ATTRIBUTES
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(field))
}

/// Keys are as they are, unlike names of attributes: JSON tells `a` from `A`.
fn json_path(field: &'static str, keys: &str) -> Result<Attribute, Refusal> {
    let keys: Vec<String> = keys.split('.').map(str::to_owned).collect();
    if keys.len() > MAX_KEYS || keys.iter().any(String::is_empty) {
        let reason = format!("a path into {field} has 1 to {MAX_KEYS} keys with dots between them");
        return Err(refusal(0, reason));
    }
    for key in &keys {
        if exeat_gate::is_credential_key(key) || exeat_gate::catalog().never(key).is_some() {
            let reason =
                format!("\"{key}\" names a credential, which is never exported: nobody may filter by it");
            return Err(Refusal {
                never: true,
                ..refusal(0, reason)
            });
        }
        if key.contains([':', '$']) {
            return Err(refusal(0, "a key has letters, digits, _ and - alone"));
        }
    }
    Ok(Attribute::Json(JsonPath { field, keys }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn and_binds_more_closely_than_or() {
        let parsed = parse(r#"a.b.c pr"#);
        assert!(parsed.is_err());
        let with = parse(r#"email pr or active eq true and nickname pr"#).unwrap();
        let grouped = parse(r#"email pr or (active eq true and nickname pr)"#).unwrap();
        let other = parse(r#"(email pr or active eq true) and nickname pr"#).unwrap();
        assert_eq!(with, grouped);
        assert_ne!(with, other);
    }

    #[test]
    fn names_of_scim_are_those_of_fields() {
        let cases = [
            (r#"userName sw "a""#, r#"username SW "a""#),
            (
                r#"urn:ietf:params:scim:schemas:core:2.0:User:name.givenName eq "A""#,
                r#"given_name eq "A""#,
            ),
            (
                r#"meta.lastModified gt "2011-05-13T04:42:34Z""#,
                r#"updated_at gt "2011-05-13T04:42:34Z""#,
            ),
            (r#"active eq true"#, r#"state eq "active""#),
            (r#"NOT (emails.value pr)"#, r#"email eq null"#),
            (r#"state ne "deleted""#, r#"not (state eq "deleted")"#),
        ];
        for (scim, ours) in cases {
            assert_eq!(parse(scim).unwrap(), parse(ours).unwrap(), "{scim}");
        }
    }

    #[test]
    fn errors_point_at_the_character() {
        let cases = [
            ("", 0, "expected an attribute"),
            ("state", 5, "expected an operator"),
            ("state is \"active\"", 6, "there is no operator \"is\""),
            ("state eq active", 9, "expected a value"),
            ("state eq \"alive\"", 9, "a state is \"invited\""),
            ("state gt \"active\"", 6, "a state is compared with eq and ne"),
            ("colour eq \"red\"", 0, "there is no attribute \"colour\""),
            ("state eq \"active\" and", 21, "expected an attribute"),
            (
                "(state eq \"active\"",
                18,
                "expected \"and\", \"or\" or a closing",
            ),
            ("state eq \"active\")", 17, "expected \"and\", \"or\" or the end"),
            (
                "email eq \"ä\" and name eq \"",
                25,
                "the text that begins here has no closing quote",
            ),
            ("not email pr", 4, "expected a parenthesis after \"not\""),
            ("emails[type eq \"work\"]", 6, "no attribute has parts"),
            ("created_at gt \"soon\"", 14, "a time is a date"),
            ("logins_count ge 1.5", 16, "expected a whole number"),
            ("custom_attributes eq \"x\"", 0, "name a place in"),
            (
                "custom_attributes.a gt \"x\"",
                20,
                "texts, true and false in attributes",
            ),
            ("email co \"\"", 9, "an empty text"),
            ("email_verified eq \"true\"", 18, "expected true or false"),
        ];
        for (text, offset, reason) in cases {
            let refusal = parse(text).unwrap_err();
            assert!(refusal.reason.starts_with(reason), "{text}: {}", refusal.reason);
            assert_eq!(refusal.offset, offset, "{text}");
            assert!(!refusal.never);
        }
    }

    #[test]
    fn what_never_leaves_cannot_be_asked_about() {
        for attribute in [
            "password_hash",
            "PasswordHash",
            "phone_number",
            "refresh_token",
            "custom_attributes.api_key",
            "app_metadata.billing.clientSecret",
        ] {
            let refusal = parse(&format!("state pr and {attribute} sw \"a\"")).unwrap_err();
            assert!(refusal.never, "{attribute}: {}", refusal.reason);
            assert_eq!(refusal.offset, 13);
        }
    }

    #[test]
    fn depth_and_length_are_bounded() {
        let deep = format!("{}email pr{}", "(".repeat(40), ")".repeat(40));
        assert!(parse(&deep).is_err());
        let long = format!("email eq \"{}\"", "x".repeat(300));
        assert!(parse(&long).is_err());
        assert!(parse(&" ".repeat(5_000)).is_err());
    }

    proptest! {
        #[test]
        fn no_text_is_a_panic(text in ".{0,60}") {
            let _ = parse(&text);
        }

        #[test]
        fn words_in_any_order_are_no_panic(
            words in proptest::collection::vec(prop::sample::select(vec![
                "(", ")", "not", "and", "or", "email", "state", "eq", "pr", "co", "\"a\"", "\"\\\"\"", "1", "true",
                "null", "custom_attributes.a", "groups", "é", "\"",
            ]), 0..12),
        ) {
            let _ = parse(&words.join(" "));
        }
    }
}
