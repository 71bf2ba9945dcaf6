//! The built-in library itself: its objects, and what it is made from.
//!
//! | object | what it offers |
//! |---|---|
//! | `bus` | [`bus::Bus`](crate::bus::Bus), see [`BusApi`] |
//! | `state` | namespaces of values, see [`StateApi`] |
//! | `jobs` | scheduled jobs, see [`JobsApi`] |

mod bus_object;
mod errors;
mod jobs_object;
mod services;
mod settings;
mod spaces;
mod state_object;
#[cfg(feature = "redis")]
mod store;

pub use bus_object::{BusApi, BusApiClient, BusApiMock, BusApiObject};
pub use jobs_object::{
    HistoryEntry, JobView, JobsApi, JobsApiClient, JobsApiMock, JobsApiObject, RunOrder,
};
pub use services::{OpenError, open};
pub use settings::{Backend, JobsSettings, NamespaceSettings, Settings, StoreSettings};
pub use state_object::{
    Admitted, Entry, EntryPage, LeaseAnswer, SetOptions, StateApi, StateApiClient, StateApiMock,
    StateApiObject,
};

/// What the built-in library is called.
pub const NAME: &str = "herder";
