//! Which of the daemon's processes this is.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;

use herder_sys::{env, fd};

/// Says it to a process that the daemon starts.
pub(crate) const VARIABLE: &str = "HERDER_DAEMON";

/// The home's variable.
pub(crate) const HOME: &str = "HERDER_HOME";

/// What the daemon keeps of the environment of whoever started it: it may be anybody's who happens to be
/// the first, and apps have their own.
const KEPT: [&str; 13] = [
    "HOME",
    HOME,
    "INVOCATION_ID",
    "LANG",
    "LOGNAME",
    "NOTIFY_SOCKET",
    "PATH",
    "RUST_BACKTRACE",
    "SHELL",
    "TMPDIR",
    "TZ",
    "USER",
    "XDG_RUNTIME_DIR",
];

/// Which of the daemon's processes this is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    /// The first one, which waits for the other.
    Guard,
    /// The daemon proper. Its stdin is the lock.
    Proper,
    /// A guard for a daemon proper that lives already. Its stdin is the lock.
    StandIn(i32),
    /// A process that becomes the check of an app. Its stdin says which.
    Probe,
}

/// Finds out, and cleans the environment of what is for this process alone.
pub(crate) fn take() -> io::Result<Part> {
    let word = std::env::var(VARIABLE).unwrap_or_default();
    let kept = std::env::vars_os().filter(|(name, _)| {
        let name = name.to_string_lossy();
        KEPT.contains(&name.as_ref()) || name.starts_with("LC_")
    });
    let kept: Vec<(OsString, OsString)> = kept.collect();
    env::replace_environment(kept)?;
    Ok(match word.split_once(':') {
        Some(("guard", pid)) => pid.parse().map_or(Part::Guard, Part::StandIn),
        _ if word == "proper" => Part::Proper,
        _ if word == "probe" => Part::Probe,
        _ => Part::Guard,
    })
}

/// For the daemon proper.
pub(crate) fn proper() -> (OsString, OsString) {
    (VARIABLE.into(), "proper".into())
}

/// For a process that becomes the check of an app.
pub(crate) fn probe() -> (OsString, OsString) {
    (VARIABLE.into(), "probe".into())
}

/// For a guard of a daemon proper that lives.
pub(crate) fn stand_in(daemon: i32) -> (OsString, OsString) {
    (VARIABLE.into(), format!("guard:{daemon}").into())
}

/// Takes the lock that is stdin; stdin is nobody's then.
pub(crate) fn take_stdin() -> io::Result<OwnedFd> {
    let lock = fd::duplicate(rustix::stdio::stdin())?;
    rustix::stdio::dup2_stdin(fd::null()?)?;
    Ok(lock)
}

/// The arguments of this process, for one that is to be the same.
pub(crate) fn arguments() -> Vec<OsString> {
    std::env::args_os().skip(1).collect()
}
