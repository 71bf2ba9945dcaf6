//! Values that JSON has no form for.
//!
//! | value | in JSON | in postcard |
//! |---|---|---|
//! | [`Blob`] | `{"$bytes":"<base64>"}` | the bytes |
//! | [`I64`], [`U64`] | a number up to 2⁵³, then `{"$int":"<digits>"}` | the number |

use std::fmt;

use bytes::Bytes;
use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::base64;

/// The largest whole number that every JSON reader keeps exact.
const EXACT: u64 = 1 << 53;

/// Bytes.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Blob(pub Bytes);

/// A signed number that stays exact in JSON.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct I64(pub i64);

/// An unsigned number that stays exact in JSON.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct U64(pub u64);

impl From<Vec<u8>> for Blob {
    fn from(bytes: Vec<u8>) -> Self {
        Blob(bytes.into())
    }
}

impl From<&[u8]> for Blob {
    fn from(bytes: &[u8]) -> Self {
        Blob(Bytes::copy_from_slice(bytes))
    }
}

impl std::ops::Deref for Blob {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        if !out.is_human_readable() {
            return out.serialize_bytes(&self.0);
        }
        tag(out, "$bytes", &base64::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        if input.is_human_readable() {
            let text = input.deserialize_map(Tagged("$bytes"))?;
            let bytes = base64::decode(&text);
            return bytes
                .map(Blob::from)
                .ok_or_else(|| de::Error::custom("`$bytes` is not base64"));
        }
        input.deserialize_byte_buf(Raw)
    }
}

impl Serialize for I64 {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        if out.is_human_readable() && self.0.unsigned_abs() > EXACT {
            return tag(out, "$int", &self.0.to_string());
        }
        out.serialize_i64(self.0)
    }
}

impl<'de> Deserialize<'de> for I64 {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        if input.is_human_readable() {
            let number = input.deserialize_any(Number)?;
            return i64::try_from(number).map(I64).map_err(de::Error::custom);
        }
        i64::deserialize(input).map(I64)
    }
}

impl Serialize for U64 {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        if out.is_human_readable() && self.0 > EXACT {
            return tag(out, "$int", &self.0.to_string());
        }
        out.serialize_u64(self.0)
    }
}

impl<'de> Deserialize<'de> for U64 {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        if input.is_human_readable() {
            let number = input.deserialize_any(Number)?;
            return u64::try_from(number).map(U64).map_err(de::Error::custom);
        }
        u64::deserialize(input).map(U64)
    }
}

fn tag<S: Serializer>(out: S, name: &'static str, text: &str) -> Result<S::Ok, S::Error> {
    let mut map = out.serialize_map(Some(1))?;
    map.serialize_entry(name, text)?;
    map.end()
}

/// An object with one field of the given name and a text in it.
struct Tagged(&'static str);

impl<'de> Visitor<'de> for Tagged {
    type Value = String;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "an object with the only field `{}`", self.0)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<String, A::Error> {
        let field = map.next_entry::<String, String>()?;
        let more = map.next_key::<String>()?;
        match field {
            Some((name, text)) if name == self.0 && more.is_none() => Ok(text),
            Some(_) | None => Err(de::Error::custom(format_args!(
                "expected the only field `{}`",
                self.0
            ))),
        }
    }
}

/// A number, or an object with the field `$int`.
struct Number;

impl<'de> Visitor<'de> for Number {
    type Value = i128;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a whole number or an object with the only field `$int`")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<i128, E> {
        Ok(i128::from(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<i128, E> {
        Ok(i128::from(number))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<i128, A::Error> {
        let text = Tagged("$int").visit_map(map)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// Bytes of a format that has them.
struct Raw;

impl Visitor<'_> for Raw {
    type Value = Blob;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("bytes")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Blob, E> {
        Ok(Blob::from(bytes))
    }

    fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Blob, E> {
        Ok(Blob::from(bytes))
    }
}
