//! The fixed part of a launch plan, which travels in the message itself.
//!
//! ```text
//! offset  0  8    magic `HERDPLAN`
//!         8  u16  version
//!        10  u16  descriptors, without the body's memory file
//!        12  u32  length of the body in bytes
//!        16  u64  checksum of the body (FNV-1a, 64 bits)
//!        24  u64  reserved, zero
//! ```

use super::error::PlanError;
use crate::reader::Reader;

/// The first bytes of every plan. A process whose standard input does not begin with them was not
/// started by a master, whatever its environment says.
pub const MAGIC: [u8; 8] = *b"HERDPLAN";

/// Version of header and body.
pub const VERSION: u16 = 1;

/// The longest body, in bytes.
pub const MAX_PLAN: usize = 8 * 1024 * 1024;

/// The most descriptors of a plan. The kernel carries 253 in one message; one is the body's memory
/// file.
pub const MAX_DESCRIPTORS: usize = 252;

/// What the message that carries a plan begins with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PlanHeader {
    /// Descriptors that follow the body's memory file in the same message.
    pub descriptors: u16,
    /// Length of the body in bytes.
    pub length: u32,
    /// Checksum of the body.
    pub checksum: u64,
}

impl PlanHeader {
    /// Length of the header in bytes.
    pub const SIZE: usize = 32;

    /// The header for a body and as many descriptors.
    ///
    /// # Errors
    ///
    /// [`PlanError::TooLong`] and [`PlanError::TooManyDescriptors`].
    pub fn new(body: &[u8], descriptors: usize) -> Result<Self, PlanError> {
        let count = u16::try_from(descriptors)
            .ok()
            .filter(|_| descriptors <= MAX_DESCRIPTORS);
        let length = u32::try_from(body.len())
            .ok()
            .filter(|_| body.len() <= MAX_PLAN);
        Ok(PlanHeader {
            descriptors: count.ok_or(PlanError::TooManyDescriptors { count: descriptors })?,
            length: length.ok_or(PlanError::TooLong {
                length: body.len() as u64,
            })?,
            checksum: checksum(body),
        })
    }

    /// This header on the wire.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
        bytes[10..12].copy_from_slice(&self.descriptors.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.length.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.checksum.to_le_bytes());
        bytes
    }

    /// Reads a header. The magic is checked first and the version before anything that a later
    /// version may mean differently.
    ///
    /// # Errors
    ///
    /// [`PlanError::BadMagic`], [`PlanError::Version`], [`PlanError::Header`],
    /// [`PlanError::TooLong`], [`PlanError::TooManyDescriptors`].
    pub fn decode(bytes: &[u8]) -> Result<Self, PlanError> {
        let mut fields = Reader::new(bytes);
        if fields.bytes(MAGIC.len() as u64) != Some(&MAGIC) {
            return Err(PlanError::BadMagic);
        }
        let version = fields.u16().ok_or(PlanError::Header)?;
        if version != VERSION {
            return Err(PlanError::Version { found: version });
        }
        let header = read_rest(&mut fields).ok_or(PlanError::Header)?;
        if header.length as usize > MAX_PLAN {
            return Err(PlanError::TooLong {
                length: u64::from(header.length),
            });
        }
        let count = usize::from(header.descriptors);
        if count > MAX_DESCRIPTORS {
            return Err(PlanError::TooManyDescriptors { count });
        }
        Ok(header)
    }

    /// Checks that `body` is the one that this header was made for.
    pub(super) fn check(&self, body: &[u8]) -> Result<(), PlanError> {
        if body.len() as u64 != u64::from(self.length) {
            return Err(PlanError::Length {
                stated: self.length,
                found: body.len(),
            });
        }
        if checksum(body) != self.checksum {
            return Err(PlanError::Checksum);
        }
        Ok(())
    }
}

fn read_rest(fields: &mut Reader<'_>) -> Option<PlanHeader> {
    let header = PlanHeader {
        descriptors: fields.u16()?,
        length: fields.u32()?,
        checksum: fields.u64()?,
    };
    let reserved = fields.u64()?;
    fields.finish(header).filter(|_| reserved == 0)
}

/// FNV-1a: it finds accidents such as a wrong or half-written file. Nobody who can write to the
/// socket needs to forge it.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::checksum;

    #[test]
    fn checksum_is_fnv_1a() {
        assert_eq!(checksum(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(checksum(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(checksum(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
