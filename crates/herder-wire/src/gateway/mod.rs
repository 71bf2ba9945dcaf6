//! What the master says to a gateway.
//!
//! The frames are those of [`crate::frame`], at most [`MAX_FRAME`] bytes each, over a socket pair
//! like a worker's `control`. The gateway speaks [`crate::control::ToMaster`]: it opens with
//! [`ToMaster::Hello`](crate::control::ToMaster::Hello), the master answers
//! [`ToGateway::Welcome`] and [`ToGateway::Configure`]. Workers are named by their incarnation.

mod codec;
mod config;
mod settings;
mod to_gateway;

pub use crate::frame::Decoder;
pub use config::{BadSetting, GatewayConfig};
pub use settings::{Origins, Policy, Protocol, Reports, Retry};
pub use to_gateway::ToGateway;

/// Version of this protocol, sent in [`ToMaster::Hello`](crate::control::ToMaster::Hello) and
/// [`ToGateway::Welcome`].
pub const VERSION: u16 = 1;

/// The longest frame with its header, in bytes.
pub const MAX_FRAME: usize = 64 * 1024;

/// The most origins that may be listed.
pub const MAX_ORIGINS: usize = 1024;

/// The longest text of a setting, in bytes: an origin, a path, a reply.
pub const MAX_TEXT: usize = 4096;
