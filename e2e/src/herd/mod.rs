//! Starting a program as an operator would, watching what it says and does, and ending all of it.

mod output;
mod run;
mod setup;

pub use output::{Line, Stream};
pub use run::Herd;
pub use rustix::process::Signal;
pub use setup::{NO_KERNEL_DISPATCH, Setup};
