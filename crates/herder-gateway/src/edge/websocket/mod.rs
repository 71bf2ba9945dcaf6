//! WebSocket after its handshake, as RFC 6455 has it.
//!
//! Headers and close codes are those of `tungstenite`. Its connection type is not used, because
//! the answer to a client's Close has to wait for the answers to its jobs, and because a client
//! must not hold memory that it only announced, or that its last large message needed.

mod decoder;
mod language;
#[cfg(test)]
mod tests;

pub(super) use language::WebSocket;
