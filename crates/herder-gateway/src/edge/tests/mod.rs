//! Sessions over streams in memory, with the clock in hand; doors with real sockets.

mod door;
mod lines;
mod slow;
mod websocket;
