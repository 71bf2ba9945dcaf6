//! What a probe answers: whether this build could be the master of a herd that lives.
//!
//! ```text
//! offset 0  u8   1: it could; 2: it could not
//!        1  u8   length of the version in bytes
//!        2  …    version, UTF-8
//!        …  …    reason, UTF-8; empty when it could
//! ```
//!
//! One message of at most [`MAX_ANSWER`] bytes, written to the plan's socket. A probe that ends without
//! it could not.

use crate::reader::Reader;
use crate::text::truncate;

/// The longest answer in bytes.
pub const MAX_ANSWER: usize = 4096;

/// The longest version in bytes. What exceeds it is cut off when encoded.
pub const MAX_VERSION: usize = 255;

const FIXED: usize = 2;
const FITS: u8 = 1;
const REFUSES: u8 = 2;

/// What a probe found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProbeAnswer {
    /// What the build calls itself.
    pub version: String,
    /// Whether it could be the master.
    pub finding: Finding,
}

/// Whether a build could be the master of a herd.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Finding {
    /// It understands the herd's state.
    Fits,
    /// It could not, for this reason.
    Refuses(String),
}

/// The bytes are no answer of a probe.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the probe's answer is malformed")]
pub struct MalformedAnswer;

impl ProbeAnswer {
    /// This answer on the wire.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let version = truncate(&self.version, MAX_VERSION);
        let (finding, reason) = match &self.finding {
            Finding::Fits => (FITS, ""),
            Finding::Refuses(reason) => (REFUSES, reason.as_str()),
        };
        let length = u8::try_from(version.len()).expect("it was cut to what a byte can count");
        let mut bytes = vec![finding, length];
        bytes.extend_from_slice(version.as_bytes());
        let room = MAX_ANSWER - bytes.len();
        bytes.extend_from_slice(truncate(reason, room).as_bytes());
        bytes
    }

    /// Reads a whole answer.
    ///
    /// # Errors
    ///
    /// [`MalformedAnswer`].
    pub fn decode(bytes: &[u8]) -> Result<ProbeAnswer, MalformedAnswer> {
        read(bytes).ok_or(MalformedAnswer)
    }
}

fn read(bytes: &[u8]) -> Option<ProbeAnswer> {
    if !(FIXED..=MAX_ANSWER).contains(&bytes.len()) {
        return None;
    }
    let mut fields = Reader::new(bytes);
    let (finding, length) = (fields.u8()?, fields.u8()?);
    let version = text(fields.bytes(u64::from(length))?)?;
    let reason = text(fields.remainder())?;
    let finding = match (finding, reason.is_empty()) {
        (FITS, true) => Finding::Fits,
        (REFUSES, _) => Finding::Refuses(reason),
        _ => return None,
    };
    Some(ProbeAnswer { version, finding })
}

fn text(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(version: &str, finding: Finding) -> ProbeAnswer {
        let version = version.to_owned();
        ProbeAnswer { version, finding }
    }

    #[test]
    fn what_was_said_is_heard() {
        for said in [
            answer("1.2.0", Finding::Fits),
            answer("", Finding::Refuses("it is of another app".to_owned())),
        ] {
            assert_eq!(ProbeAnswer::decode(&said.encode()), Ok(said));
        }
    }

    #[test]
    fn what_is_too_long_is_cut_between_characters() {
        let said = answer(&"ä".repeat(200), Finding::Refuses("ü".repeat(MAX_ANSWER)));
        let bytes = said.encode();
        assert!(bytes.len() <= MAX_ANSWER);
        let heard = ProbeAnswer::decode(&bytes).unwrap();
        assert_eq!(heard.version, "ä".repeat(127));
        assert!(matches!(heard.finding, Finding::Refuses(reason) if reason.starts_with("üü")));
    }

    #[test]
    fn nonsense_is_no_answer() {
        let beyond = vec![REFUSES; MAX_ANSWER + 1];
        for bytes in [
            &b""[..],
            b"\x01",
            b"\x03\x00",
            b"\x01\x05abc",
            b"\x01\x00why",
            b"\x02\x01\xff",
            &beyond,
        ] {
            assert_eq!(ProbeAnswer::decode(bytes), Err(MalformedAnswer));
        }
    }
}
