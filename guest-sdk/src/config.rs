//! Configuration: JSON in, the plugin's own type out, errors with a JSON pointer.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

use crate::error::Fault;

/// Parses a configuration. An empty text is an empty object.
pub(crate) fn parse<C: DeserializeOwned>(config: &str) -> Result<C, Fault> {
    let config = if config.trim().is_empty() { "{}" } else { config };
    let mut json = serde_json::Deserializer::from_str(config);
    let parsed = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let pointer: String = error.path().iter().filter_map(pointer_segment).collect();
        Fault::config(pointer, error.inner().to_string())
    })?;
    json.end().map_err(|error| Fault::config("", error.to_string()))?;
    Ok(parsed)
}

fn pointer_segment(segment: &Segment) -> Option<String> {
    match segment {
        Segment::Seq { index } => Some(format!("/{index}")),
        Segment::Map { key } => Some(format!("/{}", key.replace('~', "~0").replace('/', "~1"))),
        Segment::Enum { .. } | Segment::Unknown => None,
    }
}

/// The JSON Schema (2020-12) of a configuration type.
pub(crate) fn schema<C: JsonSchema>() -> String {
    schemars::schema_for!(C).as_value().to_string()
}
