//! Values on their way: arguments, results, items.

use std::sync::OnceLock;

use bytes::Bytes;
use herder_wire::rpc::{CallError, Codec, ErrorKind, Executed};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The arguments of a call, as they came.
#[derive(Clone, Debug)]
pub struct Args {
    codec: Codec,
    body: Bytes,
}

impl Args {
    /// Arguments that are written already.
    #[must_use]
    pub fn new(codec: Codec, body: Bytes) -> Self {
        Self { codec, body }
    }

    /// Reads the arguments: a tuple with one element for each, `[(); 0]` or `()` when there are
    /// none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadArguments`], not executed.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        let wrong =
            |message: String| CallError::new(ErrorKind::BadArguments, Executed::No, message);
        match self.codec {
            Codec::Postcard => {
                postcard::from_bytes(&self.body).map_err(|error| wrong(error.to_string()))
            }
            Codec::Json => match serde_json::from_slice(self.json()) {
                Ok(args) => Ok(args),
                // serde writes an empty tuple as `null`, callers write no arguments as `[]`.
                Err(_) if self.json() == b"[]" && is_unit::<T>() => {
                    serde_json::from_slice(b"null").map_err(|error| wrong(error.to_string()))
                }
                Err(error) => Err(wrong(error.to_string())),
            },
        }
    }

    /// How the arguments are written, and how the caller wants its answer.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// The arguments as they came.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// A caller that has no arguments may leave the array away.
    fn json(&self) -> &[u8] {
        if self.body.is_empty() {
            b"[]"
        } else {
            &self.body
        }
    }
}

/// What a method returns, written as the caller wants it.
#[derive(Clone, Debug)]
pub struct Reply {
    codec: Codec,
    body: Bytes,
}

impl Reply {
    /// Writes a result.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`] when the value has no form in the codec; executed.
    pub fn encode<T: Serialize + ?Sized>(codec: Codec, value: &T) -> Result<Self, CallError> {
        let body = encode(codec, value)?;
        Ok(Self { codec, body })
    }

    /// A result that is written already.
    #[must_use]
    pub fn new(codec: Codec, body: Bytes) -> Self {
        Self { codec, body }
    }

    /// How the result is written.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// The result as it is written.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Takes the written result out.
    #[must_use]
    pub fn into_body(self) -> Bytes {
        self.body
    }

    /// Reads the result: for tests, and for calls inside a process.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`].
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        decode(self.codec, &self.body)
    }
}

/// A value that is written at most once for each codec, whoever asks for it and how often.
#[derive(Debug)]
pub(crate) struct Shared<T> {
    value: T,
    json: OnceLock<Result<Bytes, CallError>>,
    postcard: OnceLock<Result<Bytes, CallError>>,
}

impl<T: Serialize> Shared<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            value,
            json: OnceLock::new(),
            postcard: OnceLock::new(),
        }
    }

    pub(crate) fn value(&self) -> &T {
        &self.value
    }

    pub(crate) fn body(&self, codec: Codec) -> Result<Bytes, CallError> {
        let written = match codec {
            Codec::Json => &self.json,
            Codec::Postcard => &self.postcard,
        };
        written.get_or_init(|| encode(codec, &self.value)).clone()
    }
}

/// Writes a value.
pub(crate) fn encode<T: Serialize + ?Sized>(codec: Codec, value: &T) -> Result<Bytes, CallError> {
    let written = match codec {
        Codec::Json => serde_json::to_vec(value).map_err(|error| error.to_string()),
        Codec::Postcard => postcard::to_stdvec(value).map_err(|error| error.to_string()),
    };
    written
        .map(Bytes::from)
        .map_err(|message| CallError::new(ErrorKind::Codec, Executed::Yes, message))
}

/// Reads a value.
pub(crate) fn decode<T: DeserializeOwned>(codec: Codec, body: &[u8]) -> Result<T, CallError> {
    let read = match codec {
        Codec::Json => serde_json::from_slice(body).map_err(|error| error.to_string()),
        Codec::Postcard => postcard::from_bytes(body).map_err(|error| error.to_string()),
    };
    read.map_err(|message| CallError::new(ErrorKind::Codec, Executed::Yes, message))
}

fn is_unit<T>() -> bool {
    size_of::<T>() == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read_from_either_codec() {
        let json = Args::new(Codec::Json, Bytes::from_static(b"[\"a\",7]"));
        assert_eq!(json.decode::<(String, u32)>().unwrap(), ("a".to_owned(), 7));
        let body = postcard::to_stdvec(&("a", 7_u32)).unwrap();
        let binary = Args::new(Codec::Postcard, Bytes::from(body));
        assert_eq!(
            binary.decode::<(String, u32)>().unwrap(),
            ("a".to_owned(), 7)
        );
        let error = json.decode::<(u32,)>().unwrap_err();
        assert_eq!(
            (error.kind, error.executed),
            (ErrorKind::BadArguments, Executed::No)
        );
    }

    #[test]
    fn no_arguments_have_every_form() {
        for body in ["", "[]"] {
            let args = Args::new(Codec::Json, Bytes::from_static(body.as_bytes()));
            args.decode::<()>().unwrap();
            args.decode::<[(); 0]>().unwrap();
            args.decode::<(u32,)>().unwrap_err();
        }
        Args::new(Codec::Postcard, Bytes::new())
            .decode::<()>()
            .unwrap();
    }

    #[test]
    fn a_shared_value_is_written_once() {
        let shared = Shared::new(vec![1, 2, 3]);
        let first = shared.body(Codec::Json).unwrap();
        let second = shared.body(Codec::Json).unwrap();
        assert_eq!(first.as_ptr(), second.as_ptr());
        assert_eq!(shared.body(Codec::Postcard).unwrap().as_ref(), [3, 2, 4, 6]);
    }
}
