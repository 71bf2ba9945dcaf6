//! Why a call failed, and whether it was executed.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::text::truncate;

/// The longest error document, in bytes. One that would be longer loses its data, then the end of
/// its message.
pub const MAX_ERROR: usize = 64 * 1024;

/// The longest message that an error which lost its data still has, in bytes.
const SHORT_MESSAGE: usize = 4 * 1024;

/// The longest code and name of the same, in bytes.
const SHORT_NAME: usize = 256;

/// What went wrong, seen from the caller.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The method returned an error of its own.
    App,
    /// The arguments are not those of the method.
    BadArguments,
    /// The caller gave up.
    Cancelled,
    /// A value could not be written or read.
    Codec,
    /// The time was over.
    Deadline,
    /// The library has no such object.
    NoObject,
    /// The object has no such method.
    NoMethod,
    /// Too much is under way; `retry_after` says when to try again.
    Overloaded,
    /// The method panicked; its object lives on.
    Panicked,
    /// The library does not talk to this caller.
    Refused,
    /// Arguments, or a result, are longer than a frame may be.
    TooLarge,
    /// The library cannot be reached, or went away.
    Unavailable,
    /// A kind that this side does not know.
    #[serde(other)]
    Unknown,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            ErrorKind::App => "failed",
            ErrorKind::BadArguments => "got wrong arguments",
            ErrorKind::Cancelled => "was cancelled",
            ErrorKind::Codec => "has a value that cannot be sent",
            ErrorKind::Deadline => "did not end in time",
            ErrorKind::NoObject => "names an object that is not there",
            ErrorKind::NoMethod => "names a method that is not there",
            ErrorKind::Overloaded => "was turned away because too much is under way",
            ErrorKind::Panicked => "panicked",
            ErrorKind::Refused => "was refused",
            ErrorKind::TooLarge => "is too large",
            ErrorKind::Unavailable => "could not reach the library",
            ErrorKind::Unknown => "failed in an unknown way",
        })
    }
}

/// Whether the method ran.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Executed {
    /// Certainly not: it is safe to call again.
    No,
    /// Certainly.
    Yes,
    /// Nobody knows.
    #[default]
    #[serde(other)]
    Maybe,
}

/// Why a call or a stream failed. The fields are those of [`ErrorDetails`].
#[derive(Clone, Debug, PartialEq)]
pub struct CallError(Box<ErrorDetails>);

/// What a [`CallError`] says.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ErrorDetails {
    /// What went wrong.
    pub kind: ErrorKind,
    /// Whether the method ran.
    #[serde(default)]
    pub executed: Executed,
    /// The application's code, for [`ErrorKind::App`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The application's name for the error, such as its class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What happened, for people.
    #[serde(default)]
    pub message: String,
    /// More from the application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
    /// When to try again.
    #[serde(
        default,
        rename = "retry_after_ms",
        skip_serializing_if = "Option::is_none",
        with = "milliseconds"
    )]
    pub retry_after: Option<Duration>,
    /// Which incarnation of the library it was; 0 when none was reached. The caller's side knows
    /// it, so it is not sent.
    #[serde(skip)]
    pub epoch: u64,
    /// `object.method`, or empty. The caller's side knows it, so it is not sent.
    #[serde(skip)]
    pub target: String,
}

impl CallError {
    /// An error of the given kind.
    #[must_use]
    pub fn new(kind: ErrorKind, executed: Executed, message: impl Into<String>) -> Self {
        CallError(Box::new(ErrorDetails {
            kind,
            executed,
            code: None,
            name: None,
            message: message.into(),
            data: None,
            retry_after: None,
            epoch: 0,
            target: String::new(),
        }))
    }

    /// An error that the method returned: it ran.
    #[must_use]
    pub fn app(code: impl Into<String>, message: impl Into<String>) -> Self {
        let mut error = CallError::new(ErrorKind::App, Executed::Yes, message);
        error.code = Some(code.into());
        error
    }

    /// The same error, which says that it is about `object.method`.
    #[must_use]
    pub fn at(mut self, object: &str, method: &str) -> Self {
        self.target = format!("{object}.{method}");
        self
    }

    /// The same error with the incarnation of the library that it is about.
    #[must_use]
    pub fn in_epoch(mut self, epoch: u64) -> Self {
        self.epoch = epoch;
        self
    }

    /// The same error with the application's data.
    #[must_use]
    pub fn with_data(mut self, data: Value) -> Self {
        self.data = Some(data);
        self
    }

    /// The same error with the time after which to try again.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// The error as the body of a frame, at most [`MAX_ERROR`] bytes long.
    #[must_use]
    pub fn to_json(&self) -> Bytes {
        let whole = write(&self.0);
        if whole.len() <= MAX_ERROR {
            return whole;
        }
        let mut short = self.0.as_ref().clone();
        short.data = None;
        let without_data = write(&short);
        if without_data.len() <= MAX_ERROR {
            return without_data;
        }
        short.message = truncate(&short.message, SHORT_MESSAGE).to_owned();
        for text in [&mut short.code, &mut short.name].into_iter().flatten() {
            *text = truncate(text, SHORT_NAME).to_owned();
        }
        write(&short)
    }

    /// Reads the body of a frame. What is no error document is an error of its own: a call that
    /// failed has failed, however badly it says so.
    #[must_use]
    pub fn from_json(body: &[u8]) -> Self {
        if body.len() > MAX_ERROR {
            let message = format!("the library sent an error of {} bytes", body.len());
            return CallError::new(ErrorKind::Codec, Executed::Maybe, message);
        }
        match serde_json::from_slice::<ErrorDetails>(body) {
            Ok(details) => CallError(Box::new(details)),
            Err(error) => {
                let message = format!("the library sent an error that cannot be read: {error}");
                CallError::new(ErrorKind::Codec, Executed::Maybe, message)
            }
        }
    }
}

impl Deref for CallError {
    type Target = ErrorDetails;

    fn deref(&self) -> &ErrorDetails {
        &self.0
    }
}

impl DerefMut for CallError {
    fn deref_mut(&mut self) -> &mut ErrorDetails {
        &mut self.0
    }
}

impl std::error::Error for CallError {}

impl fmt::Display for CallError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = match self.target.as_str() {
            "" => "call",
            target => target,
        };
        write!(out, "{target} {}", self.kind)?;
        if !self.message.is_empty() {
            write!(out, ": {}", self.message)?;
        }
        if let Some(code) = &self.code {
            write!(out, " (code {code})")?;
        }
        match self.executed {
            Executed::No => out.write_str(" (not executed)"),
            Executed::Maybe => out.write_str(" (perhaps executed)"),
            Executed::Yes => Ok(()),
        }
    }
}

fn write(details: &ErrorDetails) -> Bytes {
    let text = serde_json::to_vec(details);
    Bytes::from(text.expect("an error's fields are text, numbers and JSON"))
}

/// A time in whole milliseconds.
mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "serde gives it so")]
    pub(super) fn serialize<S: Serializer>(
        time: &Option<Duration>,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        let number = time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        number.serialize(out)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        input: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(input)?.map(Duration::from_millis))
    }
}
