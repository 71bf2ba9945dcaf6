//! A client of the daemon: one function for each thing that can be asked for, over
//! `HERDER_HOME/herder.sock`. (What is said there, [`herder_api::control`] has.)
//!
//! ```no_run
//! # async fn example() -> Result<(), herder_client::Error> {
//! let client = herder_client::Client::of_home("/home/me/.herder".as_ref());
//! for app in client.apps(&[]).await? {
//!     // …
//! #   drop(app);
//! }
//! let mut events = client.events().await?;
//! while let Some(event) = events.next().await {
//!     let event = event?;
//!     // …
//! #   drop(event);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Each request has a connection of its own. It needs a tokio runtime, of any kind, with I/O and time.
#![forbid(unsafe_code)]

mod client;
mod connection;
mod error;
mod lines;
mod patient;
mod place;
mod query;
mod warnings;

pub use client::Client;
pub use error::Error;
pub use lines::Lines;
pub use query::{LogQuery, LogStream};
pub use warnings::Warnings;
