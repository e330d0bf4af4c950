//! JSON objects that are objects: serde takes an array for a struct, too, member by member.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// A struct that was written as an object.
#[derive(Debug)]
pub struct JsonObject<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for JsonObject<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData)).map(Self)
    }
}

impl<T> JsonObject<T> {
    /// A member that is a list of objects: `#[serde(deserialize_with = "JsonObject::list")]`.
    ///
    /// # Errors
    /// One of them is not such an object.
    pub fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error>
    where
        T: Deserialize<'de>,
    {
        let objects = Vec::<Self>::deserialize(deserializer)?;
        Ok(objects.into_iter().map(|Self(object)| object).collect())
    }

    /// A member that is an object or is left out.
    ///
    /// # Errors
    /// It is not such an object.
    pub fn optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error>
    where
        T: Deserialize<'de>,
    {
        let object = Option::<Self>::deserialize(deserializer)?;
        Ok(object.map(|Self(object)| object))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}
