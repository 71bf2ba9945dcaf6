//! What a gateway and a native worker say to each other about jobs.
//!
//! A link is a pair of sockets that keep packets apart, one between each life of a gateway and each
//! life of a worker. The frames are those of [`crate::frame`], at most [`MAX_FRAME`] bytes each.
//! Several may share a packet, but a frame whose message lies in a memory file is alone in its
//! packet, with that file as the packet's one descriptor. The two directions use kinds that do not
//! overlap.
//!
//! Each side opens with its `Hello`. The worker answers a [`FromGateway::Job`] by
//! [`FromWorker::Started`], any number of [`FromWorker::Reply`], and one of
//! [`FromWorker::Finished`] and [`FromWorker::Failed`].

mod body;
mod from_gateway;
mod from_worker;

pub use crate::frame::Decoder;
pub use body::{Body, Kind};
pub use from_gateway::FromGateway;
pub use from_worker::FromWorker;

/// Version of this protocol, sent in both `Hello`s.
pub const VERSION: u16 = 1;

/// The longest frame with its header, in bytes. A packet may be as long, too.
pub const MAX_FRAME: usize = 64 * 1024;

/// The longest message that travels in its frame, in bytes. Longer ones lie in a memory file.
pub const MAX_INLINE: usize = 60 * 1024;

/// The longest message, in bytes.
pub const MAX_MESSAGE: usize = 16 * 1024 * 1024;

/// The longest error of [`FromWorker::Failed`], in bytes of UTF-8.
pub const MAX_ERROR: usize = 4096;
