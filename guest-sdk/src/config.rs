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
        Fault::config(pointer, sentence(error.inner()))
    })?;
    json.end().map_err(|error| Fault::config("", sentence(&error)))?;
    Ok(parsed)
}

/// What is wrong, without line and column: the pointer says where.
fn sentence(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ")
        .map_or(text.as_str(), |(sentence, _)| sentence)
        .to_owned()
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
