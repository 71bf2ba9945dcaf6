//! What the primary and the workers of Node's `cluster` say to each other.
//!
//! A worker is an unmodified Node.js program whose channel is a stream socket (descriptor 3,
//! `NODE_CHANNEL_FD`). Both sides write JSON values, one in each line. An object whose `cmd` is a
//! string that begins with `NODE_`, and is longer than that, is *internal*: the program never sees
//! it. Everything else is a *user* message. Nothing of this is a promised interface of Node; it has
//! been the same from Node 18 to 26.
//!
//! [`Decoder`] turns the worker's bytes into [`FromNode`], [`ToNode::encode`] writes the lines of
//! the master. A descriptor travels beside an envelope (`NODE_HANDLE`), one in each direction at a
//! time or as [`READ_SIZE`] allows, and each envelope is acknowledged without a name, in order.
//!
//! Connections may come by another channel instead, the *lane*, as [`Delivery`] and [`Receipt`].
//!
//! Bun marks its internal lines with a leading byte 0x02, which [`Framing`] is about. Deno writes
//! what Node writes.

mod decoder;
mod endpoint;
mod from_node;
mod json;
mod lane;
mod play;
mod query;
mod shapes;
mod to_node;
mod user;

pub use decoder::{Beginning, Decoder, LineError};
pub use endpoint::{Endpoint, EndpointError};
pub use from_node::{Accepted, FromNode, HandleKind};
pub use json::{Json, JsonError};
pub use lane::{Delivery, Duplicate, LANE_RECORD, Receipt, ReceiptDecoder, ReceiptError};
pub use query::{AddressType, DEFAULT_BACKLOG, Identity, Query};
pub use to_node::{Outcome, Reply, SharedKind, ToNode, UserHandle};
pub use user::{UserError, UserValue};

/// The longest line without its end, in bytes. Node has no limit; a master needs one.
pub const MAX_LINE: usize = 16 * 1024 * 1024;

/// How much a worker reads at once, in bytes.
///
/// A worker keeps only the descriptor that came last, so that an envelope which is cut by the end
/// of one read loses its descriptor to the one behind it. While the bytes that were written and
/// are not known to be read, this envelope included, are fewer than this, no read can cut one.
/// Each [`FromNode::Acknowledged`] says that everything up to its envelope was read. Beyond that:
/// one envelope at a time.
pub const READ_SIZE: usize = 64 * 1024;

/// How a peer marks its internal lines.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Framing {
    /// Bun: by a leading byte 0x02, and only so.
    Bun,
    /// Node and Deno: not at all.
    #[default]
    Node,
}

/// What precedes an internal line of Bun.
const BUN_MARK: u8 = 0x02;

/// What the `cmd` of an internal message begins with.
const INTERNAL_PREFIX: &str = "NODE_";
