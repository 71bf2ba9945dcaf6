//! Unix socket channels: messages with descriptors, what lies unread, who is on the other side.
//! And settings of sockets of any kind.
//!
//! The calls a dispatcher makes per connection ([`send`], [`receive`], [`unread_bytes`]) are one
//! system call each and allocate nothing.

mod message;
mod options;
mod pair;
#[cfg(test)]
mod scene;
mod shortage;
mod stream;
pub(crate) mod tcp_info;
mod touch;

pub use message::{
    MAX_FDS_PER_MESSAGE, Received, Wait, is_too_many_refs, peek, receive, send, unread_bytes,
    unsent_bytes,
};
pub(crate) use options::length_of;
pub use options::{
    Credentials, discard, is_socket, peer_credentials, peer_groups, peer_ip, refuse_descriptors,
    set_keep_alive, set_no_delay, set_send_buffer, shutdown_both, shutdown_write,
};
pub use pair::{bind_datagram, datagram_pair, seqpacket_pair, stream_pair};
pub use shortage::{Shortage, shortage};
pub use stream::{receive_some, send_before_end};
pub use touch::{Touch, touch};
