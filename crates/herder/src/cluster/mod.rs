//! The herd, as a program describes it.
//!
//! | module | what it holds |
//! |---|---|
//! | `builder` | [`Cluster`]: a method for each setting |
//! | `settings` | the settings as given, and their check |
//! | `messages`, `message_settings` | the same for messages (feature `message`) |
//! | `libraries` | the same for libraries (feature `library`) |
//! | `services` | the same for bus, state and jobs (feature `services`) |
//! | `reloading` | the same for reloads |
//! | `error` | what can be wrong |
//! | `run`, `seating` | the roles: keeper and master, worker, all in one process |

pub(crate) mod builder;
mod dispatch_settings;
pub(crate) mod error;
#[cfg(feature = "library")]
pub(crate) mod libraries;
#[cfg(feature = "message")]
pub(crate) mod message_settings;
#[cfg(feature = "message")]
mod messages;
mod reloading;
mod run;
mod seating;
#[cfg(feature = "services")]
pub(crate) mod services;
pub(crate) mod settings;
mod weights;
