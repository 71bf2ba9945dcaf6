//! What tests and benchmarks share: a library in this process, objects made of closures, and a
//! caller that speaks in frames.

mod raw;
mod running;
mod script;

pub use raw::{RawCaller, call, hello};
pub use running::RunningLibrary;
pub use script::Script;
