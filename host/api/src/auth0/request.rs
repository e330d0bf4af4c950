//! What Auth0's clients ask for, as a request of ours.

use std::collections::{BTreeMap, BTreeSet};

use exeat_encode::{Compression, Format, FormulaPolicy};
use exeat_engine::{ExportRequest, JsonObject, PluginRequest};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};

use super::error::Auth0Error;
use super::{KEPT_CONNECTION, KEPT_REQUEST};

/// Columns of a CSV file, at most.
const MAX_CSV_FIELDS: usize = 30;
/// Fields of any file, at most.
const MAX_FIELDS: usize = 100;
/// Characters of a field's name or title, at most.
const MAX_NAME_CHARS: usize = 100;
/// After so long an export has failed.
const TIMEOUT_SECONDS: u64 = 8 * 3_600;
/// After so long its data is gone.
const RETENTION_SECONDS: u64 = 24 * 3_600;

/// The attributes of a user that Auth0 has, and where they come from.
const ATTRIBUTES: [(&str, Origin); 22] = [
    ("user_id", Origin::Field("user_id")),
    ("email", Origin::Field("email")),
    ("email_verified", Origin::Field("email_verified")),
    ("username", Origin::Field("username")),
    ("name", Origin::Field("name")),
    ("given_name", Origin::Field("given_name")),
    ("family_name", Origin::Field("family_name")),
    ("nickname", Origin::Field("nickname")),
    ("picture", Origin::Field("picture")),
    ("phone_verified", Origin::Field("phone_verified")),
    ("created_at", Origin::Field("created_at")),
    ("updated_at", Origin::Field("updated_at")),
    ("last_login", Origin::Field("last_signed_in_at")),
    ("last_ip", Origin::Field("last_ip")),
    ("logins_count", Origin::Field("logins_count")),
    ("user_metadata", Origin::Json("custom_attributes")),
    ("app_metadata", Origin::Json("app_metadata")),
    ("identities", Origin::Json("identities")),
    ("blocked", Origin::Suspended),
    // Of these, there is nothing to tell.
    ("multifactor", Origin::Nothing),
    ("multifactor_last_modified", Origin::Nothing),
    ("last_password_reset", Origin::Nothing),
];

/// What is exported where nobody says.
const PREDEFINED: [&str; 14] = [
    "user_id",
    "email",
    "email_verified",
    "username",
    "name",
    "given_name",
    "family_name",
    "nickname",
    "picture",
    "created_at",
    "updated_at",
    "last_login",
    "last_ip",
    "logins_count",
];

/// Those of them that need export:sensitive here.
const SENSITIVE: [&str; 1] = ["last_ip"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// A field of ours.
    Field(&'static str),
    /// A field of JSON, into which one can reach.
    Json(&'static str),
    /// Whether the user is suspended.
    Suspended,
    Nothing,
}

/// The body of `POST /api/v2/jobs/users-exports`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UsersExport {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) connection_id: Option<String>,
    #[serde(default)]
    pub(super) format: ExportFormat,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub(super) limit: Option<u64>,
    #[serde(
        skip_serializing_if = "Option::is_none",
        default,
        deserialize_with = "optional_list"
    )]
    #[schemars(with = "Option<Vec<ExportField>>")]
    pub(super) fields: Option<Vec<ExportField>>,
}

fn optional_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<ExportField>>, D::Error> {
    let fields = Option::<Vec<JsonObject<ExportField>>>::deserialize(deserializer)?;
    Ok(fields.map(|fields| fields.into_iter().map(|JsonObject(field)| field).collect()))
}

/// `json` is NDJSON in truth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ExportFormat {
    #[default]
    Json,
    Csv,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportField {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    export_as: Option<String>,
}

impl UsersExport {
    /// Our request, of a connection's users if one is named.
    /// Of the predefined fields, those that are sensitive are there for those who may have them.
    pub(super) fn request(
        &self,
        connection: Option<&str>,
        sensitive: bool,
    ) -> Result<ExportRequest, Auth0Error> {
        if self.limit == Some(0) {
            return Err(Auth0Error::body("limit must be at least 1"));
        }
        let predefined = || {
            let fields = PREDEFINED
                .into_iter()
                .filter(|name| sensitive || !SENSITIVE.contains(name));
            fields.map(ExportField::named).collect()
        };
        let fields = self.fields.clone().unwrap_or_else(predefined);
        let most = match self.format {
            ExportFormat::Csv => MAX_CSV_FIELDS,
            ExportFormat::Json => MAX_FIELDS,
        };
        if fields.is_empty() || fields.len() > most {
            return Err(Auth0Error::body(format!("fields must name 1 to {most} fields")));
        }
        let mut selected = BTreeSet::new();
        let mut columns = Vec::with_capacity(fields.len());
        for field in &fields {
            let (needed, column) = field.column(self.format)?;
            selected.extend(needed);
            columns.push(column);
        }
        // Something must be read for there to be rows.
        if selected.is_empty() {
            selected.insert("user_id");
        }
        let filter = connection.map(|name| ("connection".to_owned(), Value::from(name)));
        let csv = self.format == ExportFormat::Csv;
        let mut metadata = BTreeMap::from([(
            KEPT_REQUEST.to_owned(),
            serde_json::to_string(self).unwrap_or_default(),
        )]);
        metadata.extend(connection.map(|name| (KEPT_CONNECTION.to_owned(), name.to_owned())));
        Ok(ExportRequest {
            format: Some(if csv { Format::Csv } else { Format::Ndjson }),
            filter: filter.into_iter().collect(),
            limit: self.limit,
            fields: Some(selected.into_iter().map(str::to_owned).collect()),
            transforms: vec![PluginRequest {
                plugin: "exeat/field-map".to_owned(),
                digest: None,
                config: json!({ "columns": columns }),
            }],
            compression: Compression::Gzip,
            csv_formulas: csv.then_some(FormulaPolicy::Auth0),
            timeout_seconds: Some(TIMEOUT_SECONDS),
            retention_seconds: Some(RETENTION_SECONDS),
            metadata,
            ..ExportRequest::default()
        })
    }
}

impl ExportField {
    fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            export_as: None,
        }
    }

    /// Which field of ours is needed for it, and its column in the map of fields.
    fn column(&self, format: ExportFormat) -> Result<(Option<&'static str>, Map<String, Value>), Auth0Error> {
        let title = self.export_as.as_ref().unwrap_or(&self.name);
        for text in [&self.name, title] {
            if text.is_empty() || text.chars().count() > MAX_NAME_CHARS {
                let message = format!("names and titles of fields have 1 to {MAX_NAME_CHARS} characters");
                return Err(Auth0Error::body(message));
            }
        }
        let root_end = self.name.find(['.', '[']).unwrap_or(self.name.len());
        let (root, path) = self.name.split_at(root_end);
        let origin = ATTRIBUTES
            .iter()
            .find(|(name, _)| *name == root)
            .map(|(_, origin)| *origin);
        let unknown = || match exeat_gate::catalog().never(root) {
            Some(why) => Auth0Error::body(format!("\"{root}\" is never exported: {why}")),
            None => Auth0Error::body(format!(
                "there is no attribute \"{}\" that could be exported",
                self.name
            )),
        };
        let mut column = Map::from_iter([("as".to_owned(), Value::from(title.as_str()))]);
        let needed = match origin.ok_or_else(unknown)? {
            Origin::Field(field) if path.is_empty() => {
                column.insert("from".to_owned(), field.into());
                Some(field)
            }
            Origin::Json(_) if path.is_empty() && format == ExportFormat::Csv => {
                let message =
                    format!("in CSV, name the parts of \"{root}\" one by one, such as {root}.{{key}}");
                return Err(Auth0Error::body(message));
            }
            Origin::Json(field) => {
                // Auth0 calls it otherwise within an identity.
                let path = match field {
                    "identities" => path.replace("].user_id", "].subject"),
                    _ => path.to_owned(),
                };
                column.insert("from".to_owned(), format!("{field}{path}").into());
                Some(field)
            }
            Origin::Suspended if path.is_empty() => {
                column.insert("from".to_owned(), "state".into());
                column.insert("equals".to_owned(), "suspended".into());
                Some("state")
            }
            Origin::Nothing => {
                column.insert("constant".to_owned(), Value::Null);
                None
            }
            Origin::Field(_) | Origin::Suspended => return Err(unknown()),
        };
        Ok((needed, column))
    }
}
