//! Listening sockets: making them, accepting from them, looking into their queue.
//!
//! A [`Listener`] is born non-blocking and closed on exec, with `TCP_NODELAY` for the connections
//! it will give. It never has `SO_REUSEPORT` (except in a group that is [anchored](bind_anchor)), so that a stranger on the port is an error and not a
//! thief of half the connections. The functions that take a `BorrowedFd` work on any duplicate.

mod accept;
mod address;
mod error;
mod exact;
mod handle;
mod reuseport;
mod tcp;
pub(crate) mod unix_path;

pub use crate::fd::{Blocking, set_blocking};
pub use accept::{
    AcceptError, accept, accept_as, accept_error, accept_from, accept_queue_length,
    connect_and_close, has_waiting, is_listening, listen_again, waiting_at,
};
pub use address::{Address, BoundAddress, local_address};
pub use error::ListenError;
pub use exact::{Families, Sharing, bind_tcp, bind_udp, bind_unix_name, bind_unix_path};
pub use handle::{ListenOptions, Listener};
pub use reuseport::{Bar, bar, bind_anchor, cookie, hand_on, is_in_group, join, shut_down, unbar};
pub use tcp::bind_first;
