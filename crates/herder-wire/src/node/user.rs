//! Messages of the program.

use std::borrow::Cow;

use super::INTERNAL_PREFIX;
use super::json::{Json, JsonError, members, text};

/// A message that the program sees: any JSON value, one in each line, that is not internal.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct UserValue(Json);

/// Why a value cannot be a user message.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UserError {
    /// Node would take it for one of its own and not show it to the program.
    #[error("an object whose `cmd` begins with `NODE_` is a message of Node itself")]
    Internal,
    /// It is not JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
}

impl UserValue {
    /// Takes `json` if it is one JSON value that Node would show to the program.
    ///
    /// # Errors
    ///
    /// [`UserError`] when it is not.
    pub fn parse(json: &str) -> Result<Self, UserError> {
        let [cmd] = members(json, ["cmd"])?;
        if is_internal(cmd) {
            return Err(UserError::Internal);
        }
        Ok(UserValue(Json::parse(json)?))
    }

    /// The JSON string `text`, such as PM2's `shutdown`.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        let json = serde_json::to_string(text).expect("a string can always be written to memory");
        UserValue(Json::checked(&json))
    }

    /// The value as JSON, verbatim, in one line.
    #[must_use]
    pub fn as_json(&self) -> &str {
        self.0.as_str()
    }

    /// The text, if the value is a string.
    #[must_use]
    pub fn text(&self) -> Option<Cow<'_, str>> {
        text(self.as_json())
    }

    /// Whether the value is this string, such as PM2's `ready`.
    #[must_use]
    pub fn is_text(&self, wanted: &str) -> bool {
        self.text().is_some_and(|text| text == wanted)
    }

    /// The member `name`, if the value is an object in which that is a string: `type` of PM2's
    /// messages, for example.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<Cow<'_, str>> {
        let [member] = members(self.as_json(), [name]).ok()?;
        text(member?)
    }

    /// The member `name`, if the value is an object in which that is a whole number from 0: `id` of
    /// PM2's messages, for example.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        let [member] = members(self.as_json(), [name]).ok()?;
        member?.parse().ok()
    }

    /// What `{act: …}` says, such as `suicide`.
    #[must_use]
    pub fn act(&self) -> Option<Cow<'_, str>> {
        self.member("act")
    }

    /// Takes what [`members`] has checked, what is not internal and what came in one line.
    pub(super) fn checked(line: &str) -> Self {
        UserValue(Json::checked(line))
    }
}

/// Whether an object with this member `cmd`, as JSON, is Node's own and not the program's.
pub(super) fn is_internal(cmd: Option<&str>) -> bool {
    let text = cmd.and_then(text);
    text.is_some_and(|cmd| cmd.starts_with(INTERNAL_PREFIX) && cmd.len() > INTERNAL_PREFIX.len())
}

#[cfg(test)]
mod tests {
    use super::{UserError, UserValue};

    #[test]
    fn what_looks_internal_is_refused() {
        for json in [
            r#"{"cmd":"NODE_X"}"#,
            r#"{"cmd":"NODE_CLUSTER","act":"newconn","key":"k"}"#,
            r#"{ "a" : 1 , "cmd" : "NODE_HANDLE_ACK" }"#,
            r#"{"\u0063md":"\u004eODE_X"}"#,
            r#"{"cmd":"x","cmd":"NODE_X"}"#,
            r#"{"cmd":"NODE_\ud800"}"#,
        ] {
            assert_eq!(UserValue::parse(json), Err(UserError::Internal), "{json}");
        }
    }

    #[test]
    fn what_does_not_is_taken_verbatim() {
        for json in [
            r#"{"cmd":"NODE_"}"#,
            r#"{"cmd":"node_x"}"#,
            r#"{"cmd":5}"#,
            r#"{"cmd":null}"#,
            r#"{"cmd":["NODE_X"]}"#,
            r#"{"cmd":"NODE_X","cmd":"x"}"#,
            r#"{"msg":{"cmd":"NODE_X"}}"#,
            r#"{"CMD":"NODE_X"}"#,
            r#"[{"cmd":"NODE_X"}]"#,
            r#""NODE_X""#,
            "5",
            "true",
            "null",
            "[]",
            "{}",
            r#""über\n 🐎""#,
            r#""\ud800""#,
        ] {
            let value = UserValue::parse(json).unwrap();
            assert_eq!(value.as_json(), json);
        }
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for json in ["", " ", "\n", "ready", "{", "{}{}", "'a'", "\"a\nb\""] {
            assert!(
                matches!(UserValue::parse(json), Err(UserError::Json(_))),
                "{json}"
            );
        }
    }

    #[test]
    fn the_habits_of_programs_are_read() {
        let ready = UserValue::parse(r#""ready""#).unwrap();
        assert!(ready.is_text("ready") && !ready.is_text("read"));
        assert_eq!(ready, UserValue::from_text("ready"));
        assert_eq!(ready.act(), None);

        let suicide = UserValue::parse(r#"{ "act" : "suicide" }"#).unwrap();
        assert_eq!(suicide.act().as_deref(), Some("suicide"));
        assert_eq!(suicide.text(), None);

        let pm2 = UserValue::parse(r#"{"type":"process:msg","data":{"type":1}}"#).unwrap();
        assert_eq!(pm2.member("type").as_deref(), Some("process:msg"));
        assert_eq!(pm2.member("data"), None);
        let pm2 = UserValue::parse(r#"{"id":2,"a":-1,"b":"2","c":1.5}"#).unwrap();
        assert_eq!(pm2.number("id"), Some(2));
        for name in ["a", "b", "c", "none"] {
            assert_eq!(pm2.number(name), None, "{name}");
        }
    }

    #[test]
    fn any_text_becomes_one_line() {
        let text = "a\"b\\\n\r\u{2028}\0ü";
        let value = UserValue::from_text(text);
        assert!(!value.as_json().contains(['\n', '\r', '\0']));
        assert_eq!(value.text().as_deref(), Some(text));
    }
}
