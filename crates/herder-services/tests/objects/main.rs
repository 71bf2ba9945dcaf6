//! The built-in library, called as workers call it.

mod bus;
mod herd;
mod jobs;
mod machines;
#[path = "../store/server.rs"]
mod server;
mod settings;
mod state;
