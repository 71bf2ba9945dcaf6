//! The half that keeps the clients' connections. It knows nothing of workers; see [`crate::hub`]
//! for the seam.
//!
//! | module | what it is |
//! |---|---|
//! | [`door`] | listeners: accepting, and how many connections there are |
//! | [`stream`], [`wire`] | a client's socket, and reading and writing it |
//! | [`fresh`] | a client's socket that the runtime need not know |
//! | [`session`] | one client from its first message to the end, whatever it speaks |
//! | [`http`] | requests: upgrade to WebSocket, the page, the live feed |
//! | [`websocket`] | RFC 6455 |
//! | [`lines`] | one message per line |
//! | [`closing`] | how everything hears that the herd stops |

pub(crate) mod closing;
mod door;
pub(crate) mod fresh;
mod http;
mod lines;
mod outbox;
mod session;
mod settings;
pub(crate) mod stream;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod websocket;
mod wire;

pub(crate) use door::{Door, Edge};
pub(crate) use settings::Settings;
