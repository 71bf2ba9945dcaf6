//! Libraries: processes of the herd that hold what the workers share.
//!
//! | module | what it holds |
//! |---|---|
//! | `setup` | [`LibrarySetup`], and the function that a library is built by |
//! | `life` | one life of a library, in whatever it lives |
//! | `process` | a library that is a process |
//! | `threads` | libraries of a herd in one process |
//! | `directory` | where the libraries are, and who calls them |
//! | `blocking` | calls for programs that block |

pub(crate) mod blocking;
pub(crate) mod directory;
mod life;
pub(crate) mod process;
pub(crate) mod setup;
pub(crate) mod threads;
