//! Finds one place in a JSON text without building the rest of it.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize as _;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::path::Step;

/// The JSON text at the end of the path; nothing where the path leads nowhere, or to null.
pub(crate) fn pick<'a>(json: &'a str, steps: &[Step]) -> Option<&'a str> {
    let mut json = serde_json::Deserializer::from_str(json);
    let found = Pick(steps).deserialize(&mut json).ok()?;
    found.map(RawValue::get).filter(|text| *text != "null")
}

/// A JSON text as people read it: a string without its quotes, nothing for null.
pub(crate) fn plain(json: &str) -> Cow<'_, str> {
    match json.as_bytes().first() {
        Some(b'"') => serde_json::from_str(json).map_or(Cow::Borrowed(json), Cow::Owned),
        _ if json == "null" => Cow::Borrowed(""),
        _ => Cow::Borrowed(json),
    }
}

struct Pick<'s>(&'s [Step]);

impl<'de> DeserializeSeed<'de> for Pick<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        if self.0.is_empty() {
            return <&RawValue>::deserialize(json).map(Some);
        }
        json.deserialize_any(self)
    }
}

/// Scalars have nothing inside.
macro_rules! nothing_inside {
    ($($method:ident($type:ty);)+) => {$(
        fn $method<E>(self, _: $type) -> Result<Self::Value, E> {
            Ok(None)
        }
    )+};
}

impl<'de> Visitor<'de> for Pick<'_> {
    type Value = Option<&'de RawValue>;

    nothing_inside! {
        visit_bool(bool);
        visit_i64(i64);
        visit_u64(u64);
        visit_f64(f64);
        visit_str(&str);
    }

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = members.next_key::<Cow<'de, str>>()? {
            match self.0 {
                [Step::Key(wanted), rest @ ..] if key == *wanted => {
                    found = members.next_value_seed(Pick(rest))?
                }
                _ => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        for index in 0.. {
            let more = match self.0 {
                [Step::Index(wanted), rest @ ..] if index == *wanted => {
                    let item = items.next_element_seed(Pick(rest))?;
                    let more = item.is_some();
                    found = item.flatten();
                    more
                }
                _ => items.next_element::<IgnoredAny>()?.is_some(),
            };
            if !more {
                break;
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::Path;

    fn at(json: &'static str, path: &str) -> Option<&'static str> {
        pick(json, &Path::parse(&format!("root.{path}")).unwrap().steps)
    }

    #[test]
    fn a_path_leads_to_the_text_as_it_stands() {
        let json = r#"{"a":{"b":[1,{"c":"x \" y"},null]},"n":1.50,"e":{}}"#;
        assert_eq!(at(json, "a.b[0]"), Some("1"));
        assert_eq!(at(json, "a.b[1].c"), Some(r#""x \" y""#));
        assert_eq!(at(json, "n"), Some("1.50"));
        assert_eq!(at(json, "e"), Some("{}"));
        for nowhere in ["a.b[2]", "a.b[9]", "a.x", "n.x", "n[0]", "a[0]"] {
            assert_eq!(at(json, nowhere), None, "{nowhere}");
        }
    }

    #[test]
    fn a_string_is_read_without_its_quotes() {
        assert_eq!(plain(r#""x \" y""#), "x \" y");
        assert_eq!(plain("[1]"), "[1]");
        assert_eq!(plain("null"), "");
    }
}
