//! The channel to the master.
//!
//! | module | what it is |
//! |---|---|
//! | [`channel`] | the socket: sending without waiting |
//! | [`inbox`] | what the master says, as orders with their descriptors |

mod channel;
mod inbox;

pub(crate) use channel::Channel;
pub(crate) use inbox::{CertificateEnds, ControlFault, Inbox, Order};
