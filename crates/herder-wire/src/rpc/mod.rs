//! Calls between an agent (the client in a worker) and a library (a process that holds objects),
//! over a stream socket.
//!
//! ```text
//! offset 0  u32  length         of everything after this field
//!        4  u8   type           see [`Frame`]
//!        5  u8   flags          bit 0: the body is postcard, not JSON; bit 1: one-way call;
//!                               bit 7: who does not know the type must not go on
//!        6  u16  header length  of the fields that follow the id
//!        8  u64  id             chosen by the agent, never used twice on a connection
//!       16  …    header
//!        …  …    body
//! ```
//!
//! All numbers are little endian.
//!
//! | module | what it holds |
//! |---|---|
//! | [`frame`] | the frames, their encoder and their decoder |
//! | [`handshake`] | who calls, who answers, within which limits |
//! | [`error`] | why a call failed, and whether it was executed |
//! | [`signature`] | which objects and methods a library has, and whether a client fits them |
//! | [`tagged`] | values that JSON has no form for: bytes and wide numbers |
//!
//! ```
//! use bytes::{Bytes, BytesMut};
//! use herder_wire::rpc::{Codec, Decoder, Frame, MAX_FRAME};
//!
//! let answer = Frame::Ok { id: 7, codec: Codec::Json, value: Bytes::from_static(b"[1]") };
//! let mut sent = BytesMut::new();
//! answer.encode(MAX_FRAME, &mut sent)?;
//!
//! let mut decoder = Decoder::new(MAX_FRAME);
//! decoder.push(&sent[..9]);
//! assert_eq!(decoder.next()?, None);
//! decoder.push(&sent[9..]);
//! assert_eq!(decoder.next()?, Some(answer));
//! # Ok::<(), herder_wire::rpc::FrameError>(())
//! ```

pub mod error;
pub mod frame;
pub mod handshake;
pub mod signature;
pub mod tagged;

mod base64;
mod canonical;
mod decoder;
mod encoder;
mod number;
mod prefix;
#[cfg(feature = "schema")]
mod schema;

pub use decoder::Decoder;
pub use error::{CallError, ErrorKind, Executed};
pub use frame::{Codec, Delivery, Frame, FrameError, ItemKind, MAX_FRAME, Position, Target};
pub use handshake::{Hello, Limits, Part, VERSION, Welcome};
pub use signature::{
    Argument, Incompatible, MethodKind, MethodSignature, ObjectSignature, Signature,
};
pub use tagged::{Blob, I64, U64};
