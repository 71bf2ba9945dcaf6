//! Places at which a test makes this process fail.
//!
//! The code says where it is: [`hit`] where only the process itself can fail, [`check`] where a call of the kernel
//! can. Without the feature `failpoints` both are nothing, and nobody can switch them on. With it, and
//! `HERDER_FAILPOINT` in the environment of the herd, they do what that says:
//!
//! | value | means |
//! |---|---|
//! | `NAME:ACTION[:NTH]` | at the NTH (first) time that this process comes by `NAME`: `ACTION` |
//! | `A,B` | both |
//! | `@FILE` | what stands in FILE at that moment; the one process for which it comes true renames it to `FILE.fired` first, and appends `NAME PID` |
//!
//! `NAME` may end with `*`: all names that begin so. Actions: `kill` (SIGKILL), `stop` (SIGSTOP),
//! `exit` or `exit=STATUS`, and `errno=NUMBER`, which only a [`check`] heeds.
//!
//! The part of a name before the first dot says who comes by: `master` (its main thread), `dispatch` (its dispatch
//! thread), `logs` (its thread that writes log files), `probe` (a build that is asked whether it could be the
//! master), `keeper`, `worker`.

#[cfg(feature = "failpoints")]
mod active;
#[cfg(feature = "failpoints")]
mod order;

#[cfg(feature = "failpoints")]
pub use active::{check, hit};

/// This process comes by the point `name`.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn hit(_name: &str) {}

/// This process is about to make the call `name`, which can fail.
///
/// # Errors
/// What a test asks for; never without the feature `failpoints`.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn check(_name: &str) -> std::io::Result<()> {
    Ok(())
}
