//! The agent against a library that follows a script, over a real socket.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a script knows what comes next"
)]

#[cfg(test)]
mod fake;

#[cfg(test)]
mod calls;
#[cfg(test)]
mod death;
#[cfg(test)]
mod protocol;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod typed;
#[cfg(test)]
mod window;
