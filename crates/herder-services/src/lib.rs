#![forbid(unsafe_code)]
//! The built-in library of a herd: what its workers share, and what it does once, not once in each
//! of them.
//!
//! | module | what it is |
//! |---|---|
//! | [`bus`] | messages between the processes of a herd |
//! | [`clock`] | the two clocks that all of them go by |
//! | [`jobs`] | work of the app's own, at its times |
//! | [`library`] | all of it as the objects of a library |
//! | `redis` | what several machines share, with the feature `redis` |
//! | [`state`] | namespaces of values, leases and limits: in memory, in a file, or in Redis |

pub mod bus;
pub mod clock;
pub mod jobs;
pub mod library;
#[cfg(feature = "redis")]
pub mod redis;
pub mod state;
