//! Libraries: processes of the herd that hold what the workers share.
//!
//! | module | what it holds |
//! |---|---|
//! | `setup` | [`LibrarySetup`], and the function that a library is built by |
//! | `life` | one life of a library, in whatever it lives |
//! | `process` | a library that is a process |
//! | `foreign` | the same, in a herd of another program |
//! | `command` | the same, of the `herder` command |
//! | `threads` | libraries of a herd in one process |
//! | `directory` | where the libraries are, and who calls them |
//! | `blocking` | calls for programs that block |

pub(crate) mod blocking;
pub(crate) mod command;
pub(crate) mod directory;
pub(crate) mod foreign;
mod life;
pub(crate) mod process;
pub(crate) mod setup;
pub(crate) mod threads;
