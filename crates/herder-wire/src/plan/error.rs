//! Why bytes are not a launch plan.

use super::header::{MAX_DESCRIPTORS, MAX_PLAN, VERSION};

/// Why bytes are not a launch plan, or a plan cannot be sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// The first bytes are not [`super::MAGIC`]: whoever wrote them is not a master.
    #[error("launch plan does not begin with its magic bytes")]
    BadMagic,
    /// The body is not the one that the header was made for.
    #[error("checksum of the launch plan's body does not match")]
    Checksum,
    /// The header's count is not that of the descriptors that the body lists.
    #[error("header counts {stated} descriptors, body lists {listed}")]
    Descriptors {
        /// What the header says.
        stated: u16,
        /// How many uses the body lists.
        listed: usize,
    },
    /// The header is not 32 bytes long or its reserved bytes are set.
    #[error("header of the launch plan is malformed")]
    Header,
    /// The body is not as long as the header says.
    #[error("body of the launch plan has {found} bytes, its header says {stated}")]
    Length {
        /// What the header says, in bytes.
        stated: u32,
        /// Length of the body in bytes.
        found: usize,
    },
    /// A field of the body is cut, out of range, or not UTF-8.
    #[error("field `{field}` of the launch plan is malformed")]
    Malformed {
        /// Name of the field.
        field: &'static str,
    },
    /// A field that the kernel will take as a C string holds a NUL byte.
    #[error("field `{field}` of the launch plan holds a NUL byte")]
    NulByte {
        /// Name of the field.
        field: &'static str,
    },
    /// The body is too long.
    #[error("body of the launch plan has {length} bytes, more than the limit of {MAX_PLAN}")]
    TooLong {
        /// Length in bytes.
        length: u64,
    },
    /// One message cannot carry so many descriptors.
    #[error("launch plan has {count} descriptors, more than the limit of {MAX_DESCRIPTORS}")]
    TooManyDescriptors {
        /// How many.
        count: usize,
    },
    /// Bytes follow the last field.
    #[error("{count} bytes follow the launch plan")]
    TrailingBytes {
        /// How many.
        count: usize,
    },
    /// Master and child are of different versions.
    #[error("launch plan has version {found}, this program understands {VERSION}")]
    Version {
        /// The version in the header.
        found: u16,
    },
}
