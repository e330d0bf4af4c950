//! What people ask for: the body of `POST /v1/exports`, the flags of `exeat export`.

use std::collections::BTreeMap;

use exeat_directory::filter::Filter;
use exeat_directory::jobs::Priority;
use exeat_encode::{Compression, Format, FormulaPolicy};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::json_object::JsonObject;

/// A request for an export, before anyone has checked it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExportRequest {
    /// `csv` or `ndjson` (default). An adapter has a format of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// Conditions that users must meet: `{"state": "active", "created_after": "2025-01-01"}`, or an
    /// expression of SCIM, `state eq "active" and email ew "@example.com"`, which among other
    /// conditions stands under `filter`.
    #[serde(
        skip_serializing_if = "Map::is_empty",
        deserialize_with = "conditions_or_expression"
    )]
    #[schemars(schema_with = "conditions_or_expression_schema")]
    pub filter: Map<String, Value>,
    /// Only users whose ids come after this one, to go on where a stream broke off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// So many users at most, in the order of their ids.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub limit: Option<u64>,
    /// The fields, in order. Left out: the everyday ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fields: Option<Vec<String>>,
    /// Whether e-mails and names become `[redacted]`.
    pub anonymize: bool,
    /// Plugins that change the rows, in order.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "JsonObject::list")]
    #[schemars(with = "Vec<PluginRequest>")]
    pub transforms: Vec<PluginRequest>,
    /// The plugin that renders the rows for a destination.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "JsonObject::optional"
    )]
    #[schemars(with = "Option<PluginRequest>")]
    pub adapter: Option<PluginRequest>,
    /// `none` (default), `gzip` or `zstd`.
    pub compression: Compression,
    /// What is done against formulas in CSV cells: `escape` (default), `off` or `auth0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub csv_formulas: Option<FormulaPolicy>,
    /// What happens when a plugin rejects a row: `fail` (default) or `skip`.
    pub on_reject: OnReject,
    /// With `skip`: how many rejected rows the export bears; 10,000 if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_rejects: Option<u64>,
    /// Among the tenant's own exports: `low`, `normal` (default) or `high`.
    pub priority: RequestPriority,
    /// How long the export may take from its first start, if not as long as the operator allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u64>,
    /// How long its files are kept, if not as long as the operator allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_seconds: Option<u64>,
    /// Whatever is to be kept with the export for whoever asked for it. It is shown and not looked at.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Where users must be read from: `exeat`, or the name of a platform's definition. Left out, it
    /// is where the server reads them; its workers must do so, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

impl ExportRequest {
    /// Adds a condition as people write it, `state=active` or an expression of SCIM.
    ///
    /// # Errors
    /// There is one of this key already; says the key.
    pub fn add_condition<'c>(&mut self, condition: &'c str) -> Result<(), &'c str> {
        let (key, value) = Filter::split(condition);
        match self.filter.insert(key.to_owned(), Value::from(value)) {
            None => Ok(()),
            Some(_) => Err(key),
        }
    }
}

fn conditions_or_expression<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Map<String, Value>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Object(conditions) => Ok(conditions),
        expression @ Value::String(_) => Ok(Map::from_iter([(Filter::EXPRESSION.to_owned(), expression)])),
        _ => Err(D::Error::custom(
            "a filter is an object of conditions, or an expression as a text",
        )),
    }
}

fn conditions_or_expression_schema(_generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": ["object", "string"],
        "additionalProperties": {"type": ["string", "boolean", "number"]},
    })
}

/// Which of a tenant's exports go first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum RequestPriority {
    Low,
    #[default]
    Normal,
    High,
}

impl From<RequestPriority> for Priority {
    fn from(priority: RequestPriority) -> Self {
        match priority {
            RequestPriority::Low => Self::Low,
            RequestPriority::Normal => Self::Normal,
            RequestPriority::High => Self::High,
        }
    }
}

/// A plugin and its configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PluginRequest {
    /// Name, and version if it is not to be the latest: `field-map`, `exeat/field-map`, `shout`,
    /// `shout@0.1.0`.
    pub plugin: String,
    /// `sha256:` and the hex digest of the component, to use no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Its configuration: a JSON object.
    #[serde(default = "empty_object")]
    #[schemars(with = "Map<String, Value>")]
    pub config: Value,
}

fn empty_object() -> Value {
    Value::Object(Map::new())
}

/// What happens when a plugin rejects a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnReject {
    /// The export fails and names the row.
    #[default]
    Fail,
    /// The row is left out, counted, and listed in `rejects.ndjson`.
    Skip,
}
