#![forbid(unsafe_code)]
//! Calls and streams between a library process and the workers of its herd.
//!
//! A library is one process that owns what there can be only one of: the connection to a
//! configuration server, the store of sessions. Its *objects* are called by *agents*, one in each
//! worker, directly over a Unix socket; no other process is on the way.
//!
//! | module | what it is |
//! |---|---|
//! | [`server`] | the host of objects, inside the library |
//! | [`client`] | the agent, inside a worker |
//!
//! Every call is answered, or fails at once and says whether it ran.

pub mod client;
pub mod server;
#[cfg(feature = "testing")]
pub mod testing;

#[cfg(feature = "schema")]
#[doc(hidden)]
pub mod support;

mod codec;
mod cx;

use std::future::Future;
use std::pin::Pin;

pub use codec::{Args, Reply};
pub use cx::{Caller, Cx};
pub use herder_wire::rpc::{
    Blob, CallError, Codec, ErrorKind, Executed, MethodKind, MethodSignature, ObjectSignature,
    Part, Signature,
};

/// A future of any type, in a box.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
