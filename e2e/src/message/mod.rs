//! Clients that send messages over one lasting connection, and account for every one of them.
//!
//! [`Chat`] is one connection that a test leads by hand; [`Crowd`] is many that send numbered messages as fast
//! as they are answered, and its [`Account`] says of each message whether it had exactly its replies, or its
//! client was told once what became of it. Both speak WebSocket or lines, over TCP or a Unix socket ([`Door`]).

mod account;
mod chat;
mod crowd;
mod member;
mod reply;
mod wire;

pub use account::{Account, Fate, Message};
pub use chat::Chat;
pub use crowd::{Crowd, Running};
pub use reply::Reply;
pub use wire::{Door, Heard, Refusal};
