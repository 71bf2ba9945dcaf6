//! The files of a certificate, which the master opens for a gateway that may not.

use crate::reader::Reader;

/// The longest reason why a file cannot be opened, in bytes.
pub const MAX_REASON: usize = 1024;

/// The largest file of a certificate or a key, in bytes. A copy of a larger one has one byte more, so that
/// who reads it sees that.
pub const MAX_FILE: u64 = 1024 * 1024;

/// The files of one certificate of a set. What stands in them the master does not read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateFiles {
    /// The number of the set: one with another number replaces the one before.
    pub set: u32,
    /// The place of the certificate among those of the settings, from 0. They come in their order.
    pub place: u16,
    /// Why there are no descriptors; `None` = there are two, the chain and the key.
    pub unopened: Option<Unopened>,
}

/// A file that could not be opened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unopened {
    /// Which of the two.
    pub which: Which,
    /// Why, in a few words; at most [`MAX_REASON`] bytes.
    pub reason: String,
}

/// A file of a certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Which {
    /// The chain.
    Chain,
    /// The key.
    Key,
}

const OPEN: u8 = 0;
const NO_CHAIN: u8 = 1;
const NO_KEY: u8 = 2;

impl CertificateFiles {
    /// Whether two descriptors come with it.
    pub fn has_descriptors(&self) -> bool {
        self.unopened.is_none()
    }

    /// Appends the fields; `None` when the reason is too long.
    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Option<()> {
        out.extend_from_slice(&self.set.to_le_bytes());
        out.extend_from_slice(&self.place.to_le_bytes());
        let Some(unopened) = &self.unopened else {
            out.push(OPEN);
            return Some(());
        };
        if unopened.reason.len() > MAX_REASON {
            return None;
        }
        out.push(match unopened.which {
            Which::Chain => NO_CHAIN,
            Which::Key => NO_KEY,
        });
        out.extend_from_slice(unopened.reason.as_bytes());
        Some(())
    }

    pub(crate) fn read(body: &[u8]) -> Option<CertificateFiles> {
        let mut fields = Reader::new(body);
        let (set, place, kind) = (fields.u32()?, fields.u16()?, fields.u8()?);
        let which = match kind {
            OPEN => None,
            NO_CHAIN => Some(Which::Chain),
            NO_KEY => Some(Which::Key),
            _ => return None,
        };
        let unopened = match which {
            None => None,
            Some(which) => {
                let reason = fields.remainder();
                if reason.len() > MAX_REASON {
                    return None;
                }
                let reason = String::from_utf8(reason.to_vec()).ok()?;
                Some(Unopened { which, reason })
            }
        };
        fields.finish(CertificateFiles {
            set,
            place,
            unopened,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(unopened: Option<(Which, &str)>) -> CertificateFiles {
        let unopened = unopened.map(|(which, reason)| Unopened {
            which,
            reason: reason.to_owned(),
        });
        CertificateFiles {
            set: 7,
            place: 300,
            unopened,
        }
    }

    #[test]
    fn files_are_read_as_they_were_written() {
        for unopened in [
            None,
            Some((Which::Chain, "No such file")),
            Some((Which::Key, "")),
        ] {
            let (files, mut bytes) = (files(unopened), Vec::new());
            files.write(&mut bytes).expect("right");
            assert_eq!(CertificateFiles::read(&bytes), Some(files));
            for end in 0..7 {
                assert_eq!(CertificateFiles::read(&bytes[..end]), None, "short");
            }
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let long = "x".repeat(MAX_REASON + 1);
        let too_long = files(Some((Which::Key, &long)));
        assert_eq!(too_long.write(&mut Vec::new()), None);
        let mut bytes = Vec::new();
        files(None).write(&mut bytes).expect("right");
        bytes.push(b'x');
        assert_eq!(
            CertificateFiles::read(&bytes),
            None,
            "more than descriptors"
        );
        bytes[6] = 3;
        assert_eq!(CertificateFiles::read(&bytes), None, "an unknown file");
        bytes[6] = NO_KEY;
        assert!(CertificateFiles::read(&bytes).is_some());
        bytes[7] = 0xff;
        assert_eq!(CertificateFiles::read(&bytes), None, "no text");
    }
}
