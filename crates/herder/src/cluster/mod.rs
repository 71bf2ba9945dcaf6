//! The herd, as a program describes it.
//!
//! | module | what it holds |
//! |---|---|
//! | `builder` | [`Cluster`]: a method for each setting |
//! | `settings` | the settings as given, and their check |
//! | `error` | what can be wrong |
//! | `run` | the roles: keeper and master, worker, all in one process |

pub(crate) mod builder;
pub(crate) mod error;
mod run;
pub(crate) mod settings;
