//! The half that keeps the clients' connections: accepting, HTTP, WebSocket, lines, the page and
//! the live feed. It knows nothing of workers; see [`crate::hub`] for the seam.

mod settings;

pub(crate) use settings::{Origins, Settings};
