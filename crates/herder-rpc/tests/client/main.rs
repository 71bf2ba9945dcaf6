//! The agent against a library that follows a script, over a real socket.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a script knows what comes next"
)]

#[cfg(test)]
mod fake;

mod calls;
mod death;
mod protocol;
mod streams;
mod typed;
mod window;
