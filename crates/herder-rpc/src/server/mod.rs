//! The host of objects: serves their methods and streams to agents.
//!
//! Each connection has a task that reads and a task that writes. A call that ends at once is
//! answered by the task that read it; any other gets a task of its own. What a connection has
//! under way is bounded in number and bytes, so is what waits to be written, and each method says
//! how many of its calls run and wait.
//!
//! | module | what it does |
//! |---|---|
//! | `library` | accepts, drains, ends |
//! | `handshake` | says who may call |
//! | `reader`, `outbox` | bytes in, bytes out |
//! | `connection` | what one connection has under way |
//! | `host` | what all connections share |
//! | `call`, `gate`, `guarded` | one call; whose turn it is; its panics |
//! | `stream`, `feed` | one stream; what it is fed with |
//! | `events`, `state` | sources for many streams |
//! | `pulse` | how late the executor is |

mod call;
mod connection;
mod events;
mod feed;
mod gate;
mod guarded;
mod handshake;
mod host;
mod library;
mod object;
mod outbox;
mod pulse;
mod reader;
mod state;
mod stream;

pub use events::{EventSource, SlowReader};
pub use feed::Feed;
#[cfg(feature = "schema")]
pub(crate) use feed::drain;
pub use gate::MethodLimits;
pub use library::{Library, LibraryIdentity, ServeError};
pub use object::{IntoObject, Object};
pub use state::{Change, StateSource};
pub use stream::{Sink, TrySendError};
