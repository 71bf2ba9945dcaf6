//! The frames of a connection between agent and library.

use bytes::Bytes;

/// The longest frame, length field included, in bytes, unless the peers agree on less: 16 MiB of
/// arguments and what goes around them.
pub const MAX_FRAME: usize = 16 * 1024 * 1024 + 64 * 1024;

/// The longest idempotency key, in bytes.
pub const MAX_KEY: usize = 1024;

/// Length of the field that says how long a frame is, in bytes.
pub const LENGTH_SIZE: usize = 4;

/// Length of what every frame begins with, length field included, in bytes.
pub const PREFIX_SIZE: usize = 16;

/// How values are written.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Codec {
    /// JSON: arguments are an array.
    #[default]
    Json,
    /// postcard: arguments are a tuple. Only between two sides that were compiled with the same
    /// types.
    Postcard,
}

/// Whether a call is answered.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Delivery {
    /// Yes: [`Frame::Ok`] or [`Frame::Error`] follows.
    #[default]
    Answered,
    /// No; nobody learns how it went.
    OneWay,
}

/// Which method of which object, by the numbers of the library's signature.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Target {
    /// Number of the object.
    pub object: u16,
    /// Number of the method within the object.
    pub method: u16,
}

/// A place in a stream.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Position {
    /// Which incarnation of the library counted; 0 with `seq` 0 means "from the start".
    pub epoch: u64,
    /// Number of the last item before this place.
    pub seq: u64,
}

/// What an item of a stream is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ItemKind {
    /// A change or an event.
    Item,
    /// A part of the state at the time of subscribing.
    Snapshot,
    /// The snapshot is complete; there is no value.
    SnapshotEnd,
    /// Items before this one are missing; the value is JSON `{reason, missed?}`.
    Gap,
}

/// One frame. Bodies share the memory that they were received in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Frame {
    /// Agent to library, first: JSON of [`super::Hello`].
    Hello(Bytes),
    /// Library to agent: JSON of [`super::Welcome`].
    Welcome(Bytes),
    /// Library to agent instead of a welcome: JSON of [`super::CallError`]. The connection ends.
    Refused(Bytes),
    /// Agent to library: which objects are there?
    SignatureAsk {
        /// Repeated in the answer.
        id: u64,
    },
    /// Library to agent: JSON of [`super::Signature`].
    Signature {
        /// That of the question.
        id: u64,
        /// The document.
        document: Bytes,
    },
    /// Agent to library: execute a method.
    Call {
        /// Names the call in answers and in [`Frame::Cancel`].
        id: u64,
        /// What to execute.
        target: Target,
        /// How much time is left, in milliseconds; more than 0.
        deadline_ms: u32,
        /// Calls with the same key that is not empty are the same call.
        key: Bytes,
        /// Whether an answer is wanted.
        delivery: Delivery,
        /// How `args` are written.
        codec: Codec,
        /// The arguments.
        args: Bytes,
    },
    /// Library to agent: what a call returned.
    Ok {
        /// That of the call.
        id: u64,
        /// How `value` is written.
        codec: Codec,
        /// What the method returned.
        value: Bytes,
    },
    /// Library to agent: a call failed or a stream ended abnormally; JSON of [`super::CallError`].
    Error {
        /// That of the call or stream.
        id: u64,
        /// The document.
        error: Bytes,
    },
    /// Agent to library: nobody waits for this call or stream any more.
    Cancel {
        /// That of the call or stream.
        id: u64,
    },
    /// Agent to library: open a stream.
    Subscribe {
        /// Names the stream in all that follows.
        id: u64,
        /// What to subscribe to.
        target: Target,
        /// How much time is left for the opening, in milliseconds; more than 0.
        deadline_ms: u32,
        /// How many items the agent takes before it gives more credit.
        credits: u32,
        /// After which item to go on; the default: from the start.
        resume: Position,
        /// How `args` are written.
        codec: Codec,
        /// The arguments.
        args: Bytes,
    },
    /// Library to agent: the stream is open.
    Opened {
        /// That of the stream.
        id: u64,
        /// The place before the first item.
        position: Position,
    },
    /// Library to agent: one item of a stream.
    Item {
        /// That of the stream.
        id: u64,
        /// Number of the item.
        seq: u64,
        /// What it is.
        kind: ItemKind,
        /// How `value` is written.
        codec: Codec,
        /// The item.
        value: Bytes,
    },
    /// Library to agent: the stream ended as it should.
    End {
        /// That of the stream.
        id: u64,
    },
    /// Agent to library: room for more items.
    Credit {
        /// That of the stream.
        id: u64,
        /// How many more.
        items: u32,
    },
    /// Library to agent: finish what is in flight and use a new connection; JSON `{reason}`.
    GoAway(Bytes),
    /// Either way: are you there?
    Ping {
        /// Repeated in the answer.
        id: u64,
    },
    /// The answer to a ping.
    Pong {
        /// That of the ping.
        id: u64,
        /// How late the answering side's executor runs, in microseconds.
        lag_us: u32,
    },
}

/// Why bytes are not a frame, or a frame cannot become bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FrameError {
    /// A field holds what its type does not allow, or is missing.
    #[error("rpc frame of type {kind} is malformed")]
    Malformed {
        /// Number of the type.
        kind: u8,
    },
    /// A flag is set that this type does not have.
    #[error("rpc frame of type {kind} has the flags {flags:#04x}")]
    ReservedFlags {
        /// Number of the type.
        kind: u8,
        /// All its flags.
        flags: u8,
    },
    /// The frame is, or claims to be, longer than allowed.
    #[error("rpc frame of {length} bytes exceeds the limit of {limit}")]
    TooLong {
        /// Length with the length field, in bytes.
        length: u64,
        /// The longest frame allowed, in bytes.
        limit: usize,
    },
    /// The frame claims to be shorter than what every frame begins with.
    #[error("rpc frame of {length} bytes has no room for its own prefix")]
    TooShort {
        /// Length with the length field, in bytes.
        length: u64,
    },
    /// A type that must be understood is not known here.
    #[error("rpc frame type {kind} is unknown and must be understood")]
    UnknownType {
        /// Number of the type.
        kind: u8,
    },
}
