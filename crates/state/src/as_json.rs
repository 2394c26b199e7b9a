//! Values that are kept, or sent, as JSON.

use std::{
    fmt,
    marker::PhantomData,
    ops::{Deref, DerefMut},
};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, DeserializeOwned, Visitor},
    ser::Error as _,
};

/// A value that is written as a text of JSON, for types that can be read from nothing less: enums with
/// their tag inside, `serde_json::Value`, structs with fields that are left out or flattened.
///
/// It takes more room and more time than other values, and what JSON can't hold (maps whose keys are no
/// texts, a float that is no number) is refused when it is written; but an `Option<f64>` that is no
/// number becomes nothing. It can be a part of others too: a field, an element, a record. As a key a type
/// is none the better for it.
///
/// ```
/// use std::collections::BTreeMap;
/// use serde::{Deserialize, Serialize};
/// use tidegate_state::{AsJson, check_type};
///
/// #[derive(Clone, Serialize, Deserialize)]
/// #[serde(tag = "kind")]
/// enum Event {
///     Opened { by: String },
///     Closed,
/// }
///
/// assert!(check_type::<Event>().is_err());
/// assert!(check_type::<BTreeMap<u8, AsJson<Event>>>().is_ok());
/// let event = AsJson::new(Event::Opened { by: "a".to_owned() });
/// assert!(matches!(&*event, Event::Opened { by } if by == "a"));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AsJson<T>(Inner<T>);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Inner<T> {
    Value(T),
    /// What stands for a value while its type is being described; no job ever sees it.
    MadeUp,
}

/// What a type that is being described is told to read: no JSON, and nothing else says so.
pub(crate) const MADE_UP: &str = "\u{0}made up";

/// By this name a type is known to be this one.
pub(crate) const NAME: &str = "tidegate::AsJson";

impl<T> AsJson<T> {
    /// Has `value` kept as JSON.
    pub const fn new(value: T) -> Self {
        Self(Inner::Value(value))
    }

    /// The value.
    #[must_use]
    pub fn into_inner(self) -> T {
        match self.0 {
            Inner::Value(value) => value,
            Inner::MadeUp => made_up(),
        }
    }
}

#[cold]
fn made_up() -> ! {
    unreachable!("only a type that is being described has values without a value")
}

impl<T> From<T> for AsJson<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: Default> Default for AsJson<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> Deref for AsJson<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.0 {
            Inner::Value(value) => value,
            Inner::MadeUp => made_up(),
        }
    }
}

impl<T> DerefMut for AsJson<T> {
    fn deref_mut(&mut self) -> &mut T {
        match &mut self.0 {
            Inner::Value(value) => value,
            Inner::MadeUp => made_up(),
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for AsJson<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Inner::Value(value) => value.fmt(f),
            Inner::MadeUp => f.write_str("AsJson"),
        }
    }
}

impl<T: Serialize + DeserializeOwned> Serialize for AsJson<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = match &self.0 {
            Inner::Value(value) => to_text(value).map_err(S::Error::custom)?,
            Inner::MadeUp => MADE_UP.to_owned(),
        };
        serializer.serialize_newtype_struct(NAME, &text)
    }
}

/// JSON can be written that is not read: this sees to it that it can be.
fn to_text<T: Serialize + DeserializeOwned>(value: &T) -> Result<String, String> {
    let in_words = |problem: &str, error: &serde_json::Error| {
        format!("a `{}` {problem} JSON: {error}", std::any::type_name::<T>())
    };
    let text = serde_json::to_string(value);
    let text = text.map_err(|error| in_words("can't be written as", &error))?;
    let again = serde_json::from_str::<T>(&text);
    again.map_err(|error| in_words("can't be read back from its own", &error))?;
    Ok(text)
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for AsJson<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(NAME, TextVisitor(PhantomData))
    }
}

struct TextVisitor<T>(PhantomData<fn() -> T>);

impl<'de, T: DeserializeOwned> Visitor<'de> for TextVisitor<T> {
    type Value = AsJson<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text of JSON")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<AsJson<T>, D::Error> {
        deserializer.deserialize_str(self)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<AsJson<T>, E> {
        if text == MADE_UP {
            return Ok(AsJson(Inner::MadeUp));
        }
        serde_json::from_str(text).map(AsJson::new).map_err(E::custom)
    }

    // What a newtype struct of other formats may be.
    fn visit_seq<A: de::SeqAccess<'de>>(self, mut parts: A) -> Result<AsJson<T>, A::Error> {
        let text = parts.next_element::<String>()?;
        let text = text.ok_or_else(|| de::Error::invalid_length(0, &self))?;
        self.visit_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tidegate_snapshot::codec;

    use super::AsJson;
    use crate::{check_type, type_description};

    fn there_and_back<T>(value: T) -> Result<T, codec::CodecError>
    where
        T: serde::Serialize + serde::de::DeserializeOwned,
    {
        let mut bytes = Vec::new();
        codec::encode(&AsJson::new(value), &mut bytes)?;
        codec::decode_exact::<AsJson<T>>(&bytes).map(AsJson::into_inner)
    }

    #[test]
    fn it_is_a_text_to_whoever_asks() {
        assert_eq!(type_description::<AsJson<serde_json::Value>>(), "String");
        assert_eq!(check_type::<(u8, Option<AsJson<serde_json::Value>>)>(), Ok(()));
        let value = serde_json::json!({"a": [1, "b", null]});
        assert_eq!(there_and_back(value.clone()).expect("it is JSON"), value);
    }

    #[test]
    fn what_json_does_not_hold_is_an_error_when_it_is_written() {
        let number = there_and_back(f64::NAN);
        let map = there_and_back(BTreeMap::from([((1_u8, 2_u8), 3_u8)]));
        let (number, map) = (number.expect_err("it is none"), map.expect_err("keys are no texts"));
        let number = tidegate_types::error::chain(&number);
        assert!(number.contains("a `f64` can't be read back from its own JSON"), "{number}");
        let map = tidegate_types::error::chain(&map);
        assert!(map.contains("can't be written as JSON: key must be a string"), "{map}");
    }

    #[test]
    fn bytes_that_are_no_json_are_an_error() {
        let mut bytes = Vec::new();
        codec::encode("", &mut bytes).expect("a text");
        assert!(codec::decode_exact::<AsJson<serde_json::Value>>(&bytes).is_err());
    }
}
