//! What a call to a library costs, beside tarpc and beside messages that a Node primary relays.
//!
//! The method returns its argument. Every caller is a program that prints one line, its account; all have the
//! same loop.
//!
//! - [`press`]: that loop, for those in Rust;
//! - [`echo`]: the library, and its callers in Rust;
//! - [`way`]: how a call is made, and what is started for it;
//! - [`contest`]: all of them, interleaved;
//! - [`report`]: the tables, and the goals.

pub mod contest;
pub mod echo;
pub mod press;
pub mod report;
pub mod way;
