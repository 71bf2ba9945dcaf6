#![forbid(unsafe_code)]
//! Message shapes and codecs between herder's processes. No I/O: bytes in, messages out.
//!
//! | module | who talks | carrier |
//! |---|---|---|
//! | [`control`] | master and native worker | frames, both ways, over a socket pair |
//! | [`gateway`] | master to gateway, which answers with [`control`] | frames over a socket pair |
//! | [`proxy`] | master to a gateway that is a proxy: what [`gateway`] has for it | as there |
//! | [`link`] | gateway and native worker | frames, both ways, over a socket pair of packets |
//! | [`record`] | master to native worker | one 16-byte record for each connection |
//! | [`plan`] | master to a child that is being started | one header, a sealed memory file, descriptors |
//! | [`probe`] | a build that is asked whether it could be the master, to the master | one message |
//! | [`report`] | a child that could not follow its plan, to the master | one message |
//! | [`keeper`] | master and keeper | frames, both ways, and descriptors |
//! | [`node`] | master and unmodified Node.js worker | lines of JSON, both ways, over a socket pair |
//! | [`notify`] | any program that speaks `sd_notify(3)`, to the master | datagrams |
//! | [`proxy_protocol`] | proxies, ahead of the client's own bytes | the first bytes of a connection |
//! | [`rpc`] | agent (the client in a worker) to library, and back | frames of their own over a stream socket |
//!
//! What a peer sends is never trusted. Every decoder here keeps four promises, and the fuzz
//! targets in `fuzz/` hold it to them:
//!
//! 1. it never panics;
//! 2. it never allocates more than four times its input plus 64 KiB, whatever lengths and counts
//!    the input claims;
//! 3. bytes that arrive in pieces decode to what they decode to at once;
//! 4. what was decoded encodes to something that decodes to the same.

pub mod control;
pub mod frame;
pub mod gateway;
pub mod keeper;
pub mod link;
pub mod node;
pub mod notify;
pub mod plan;
pub mod probe;
pub mod proxy;
pub mod proxy_protocol;
pub mod record;
pub mod report;
pub mod rpc;

mod reader;
mod text;
