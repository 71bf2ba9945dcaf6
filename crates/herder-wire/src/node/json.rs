//! JSON as text, and the few looks into it that this protocol takes.
//!
//! No value is ever built: a tree of a hostile line costs many times the line, and a deep one the
//! stack. What is not looked at is only checked, without recursion, as JavaScript checks it: last
//! of two members with one name wins, and halves of surrogate pairs are text.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Deserializer;
use serde_json::value::RawValue;

/// A JSON value as the text that it was written as, in one line.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Json(Box<str>);

/// Why text is not JSON.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not JSON at byte {column}")]
pub struct JsonError {
    /// The byte of its line where reading stopped, counted from 1; 0 for no text at all.
    pub column: usize,
}

impl Json {
    /// Takes `text` if it is one JSON value. Line feeds between its tokens become blanks.
    ///
    /// # Errors
    ///
    /// [`JsonError`] when it is not.
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        members(text, [])?;
        Ok(Json(text.replace('\n', " ").into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes what [`members`] has checked and what came in one line.
    pub(super) fn checked(line: &str) -> Self {
        Json(line.into())
    }
}

/// The members of the object `json` that have these names, as the text of their values. `None`
/// for one that is absent, and for all when `json` is another value.
pub(super) fn members<'a, const N: usize>(
    json: &'a str,
    names: [&str; N],
) -> Result<[Option<&'a str>; N], JsonError> {
    let mut found = [None; N];
    let mut reader = Deserializer::from_str(json);
    let read = if is_object(json) {
        let visitor = Members {
            names: &names,
            found: &mut found,
        };
        reader.deserialize_map(visitor)
    } else {
        reader.deserialize_ignored_any(IgnoredAny).map(drop)
    };
    read.and_then(|()| reader.end())
        .map_err(|error| JsonError {
            column: error.column(),
        })?;
    Ok(found)
}

/// The text of the JSON string `json`, or `None` for another value.
pub(super) fn text(json: &str) -> Option<Cow<'_, str>> {
    let mut reader = Deserializer::from_str(json);
    let bytes = reader.deserialize_bytes(Bytes).ok()?;
    // A half of a surrogate pair is legal in JSON and not in UTF-8.
    Some(match bytes {
        Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    })
}

/// Appends `text` as a JSON string.
pub(super) fn write_text(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("a string can always be written to memory");
}

fn is_object(json: &str) -> bool {
    json.trim_ascii_start().starts_with('{')
}

/// Collects the wanted members of one object.
struct Members<'n, 'f, 'a> {
    names: &'n [&'n str],
    found: &'f mut [Option<&'a str>],
}

impl<'a> Visitor<'a> for Members<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(wanted) = map.next_key_seed(Name { names: self.names })? {
            match wanted {
                Some(index) => self.found[index] = Some(map.next_value::<&RawValue>()?.get()),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// Reads the name of a member as its index among the wanted ones.
struct Name<'n> {
    names: &'n [&'n str],
}

impl<'a> DeserializeSeed<'a> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: serde::Deserializer<'a>>(self, name: D) -> Result<Self::Value, D::Error> {
        // As bytes: a name may hold half of a surrogate pair.
        let name = name.deserialize_bytes(Bytes)?;
        let matching = |wanted: &&str| wanted.as_bytes() == name.as_ref();
        Ok(self.names.iter().position(matching))
    }
}

/// The bytes of a string, where they stand if nothing in it is escaped.
struct Bytes;

impl<'a> Visitor<'a> for Bytes {
    type Value = Cow<'a, [u8]>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a string")
    }

    fn visit_borrowed_bytes<E>(self, bytes: &'a [u8]) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(bytes))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        Ok(Cow::Owned(bytes.to_vec()))
    }

    fn visit_borrowed_str<E>(self, text: &'a str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text.as_bytes()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.as_bytes().to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::{Json, JsonError, members, text};

    #[test]
    fn members_are_found_where_they_stand() {
        let json = r#" {"a":1 , "b" : {"a":2}, "\u0063":"x"} "#;
        assert_eq!(
            members(json, ["a", "b", "c", "d"]),
            Ok([Some("1"), Some(r#"{"a":2}"#), Some(r#""x""#), None])
        );
    }

    #[test]
    fn the_last_of_two_members_wins_as_in_javascript() {
        assert_eq!(members(r#"{"a":1,"a":2}"#, ["a"]), Ok([Some("2")]));
    }

    #[test]
    fn other_values_have_no_members() {
        for json in ["5", "-0.5e300", "1e999", "\"a\"", "null", "[{\"a\":1}]"] {
            assert_eq!(members(json, ["a"]), Ok([None]), "{json}");
        }
    }

    #[test]
    fn what_is_not_json_is_refused_where_it_goes_wrong() {
        for (json, column) in [
            ("", 0),
            ("nul", 3),
            ("{\"a\":1,}", 8),
            ("01", 2),
            ("1 2", 3),
            ("[1", 2),
            ("'a'", 1),
            ("{\"a\":\"\u{1}\"}", 6),
            ("NaN", 1),
        ] {
            assert_eq!(members(json, ["a"]), Err(JsonError { column }), "{json}");
        }
    }

    #[test]
    fn half_a_surrogate_pair_is_text() {
        let json = r#"{"\ud800":"\udc00","a":"\ud800"}"#;
        assert_eq!(members(json, ["a"]), Ok([Some(r#""\ud800""#)]));
        assert!(text(r#""\ud800""#).is_some_and(|text| text.contains('\u{fffd}')));
    }

    #[test]
    fn depth_costs_no_stack() {
        let depth = 1_000_000;
        let nested = "[".repeat(depth) + &"]".repeat(depth);
        assert_eq!(members(&nested, []), Ok([]));
        let member = format!("{{\"a\":{nested}}}");
        assert_eq!(members(&member, ["a"]), Ok([Some(nested.as_str())]));
        assert!(members(&"[".repeat(depth), []).is_err());
        assert!(members(&"{\"a\":".repeat(depth), ["a"]).is_err());
    }

    #[test]
    fn a_value_of_several_lines_becomes_one_line() {
        let json = Json::parse("{\n  \"a\": \"b\\nc\"\r\n}").unwrap();
        assert_eq!(json.as_str(), "{   \"a\": \"b\\nc\"\r }");
        assert!(Json::parse("\"a\nb\"").is_err(), "not in a string");
    }
}
