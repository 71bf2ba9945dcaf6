//! The agent: calls the objects of a library.
//!
//! | module | what it is |
//! |---|---|
//! | `agent`, `agents` | what users hold: the agent of one library, those of all |
//! | `call`, `subscription`, `proxy` | one call over its attempts, one stream, typed clients |
//! | `plan` | names and values become numbers and bytes |
//! | `core` | what all handles share; the task that keeps the connection |
//! | `connect`, `pump`, `receive` | a connection: its beginning, its task, what the library sends |
//! | `link`, `stream` | what is under way on a connection, and in a subscription |
//! | `table`, `outbox`, `place`, `backoff`, `budget` | their parts, without any I/O |

mod agent;
mod agents;
mod backoff;
mod budget;
mod call;
mod connect;
mod core;
mod endpoint;
mod error;
mod link;
mod options;
mod outbox;
mod place;
mod plan;
mod proxy;
mod pump;
mod receive;
mod stream;
mod subscription;
mod table;

pub use agent::{Agent, Gauges};
pub use agents::Agents;
pub use core::Connection;
pub use endpoint::{
    Endpoint, HERD_VARIABLE, Identity, LIBRARIES_VARIABLE, endpoints_from_environment,
};
pub use error::EnvironmentError;
pub use options::{AgentSettings, CallOptions, StreamOptions};
pub use proxy::{Client, Proxy, RpcError, TypedCall};
pub use subscription::{StreamItem, Subscription};
