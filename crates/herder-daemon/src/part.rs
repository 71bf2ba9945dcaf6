//! Which of the daemon's processes this is.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use herder_sys::manager::Voice;
use herder_sys::{env, fd};
use rustix::fs::FileType;

/// Says it to a process that the daemon starts.
pub(crate) const VARIABLE: &str = "HERDER_DAEMON";

/// Says to the same that a service manager watches over the guard, and how often, in microseconds, it wants
/// to hear that the daemon lives; 0 = never. Supervisors that have no `NOTIFY_SOCKET` may set it to 0: then
/// a daemon whose guard was killed ends, and leaves the next start to them.
const MANAGED: &str = "HERDER_DAEMON_MANAGED";

/// The home's variable.
pub(crate) const HOME: &str = "HERDER_HOME";

/// What the daemon keeps of the environment of whoever started it: it may be anybody's who happens to be
/// the first, and apps have their own.
const KEPT: [&str; 13] = [
    "HOME",
    HOME,
    // It is about the machine, and so about the daemon's herds.
    "HERDER_NO_KERNEL_DISPATCH",
    "INVOCATION_ID",
    "LANG",
    "LOGNAME",
    "PATH",
    "RUST_BACKTRACE",
    "SHELL",
    "TMPDIR",
    "TZ",
    "USER",
    "XDG_RUNTIME_DIR",
];

/// Which of the daemon's processes this is.
#[derive(Debug)]
pub(crate) enum Part {
    /// The first one, which waits for the other.
    Guard(Service),
    /// The daemon proper. Its stdin is the lock.
    Proper(Option<Managed>),
    /// A guard for a daemon proper that lives already. Its stdin is the lock.
    StandIn(i32, Service),
    /// A process that becomes the check of an app. Its stdin says which.
    Probe,
}

/// The guard's service manager.
#[derive(Debug, Default)]
pub(crate) struct Service {
    pub(crate) voice: Voice,
    pub(crate) managed: Option<Managed>,
}

/// Somebody else starts the guard anew when it dies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Managed {
    /// How long he waits for a sign of life. None = for ever.
    pub(crate) patience: Option<Duration>,
}

impl Managed {
    /// What a variable says.
    fn parse(text: &str) -> Option<Managed> {
        let micros = text.parse::<u64>().ok()?;
        let patience = (micros > 0).then(|| Duration::from_micros(micros));
        Some(Managed { patience })
    }

    /// For a process that is to know.
    pub(crate) fn variable(self) -> (OsString, OsString) {
        let patience = self.patience.unwrap_or_default();
        (MANAGED.into(), patience.as_micros().to_string().into())
    }
}

/// Finds out, and cleans the environment of what is for this process alone.
pub(crate) fn take() -> io::Result<Part> {
    let word = std::env::var(VARIABLE).unwrap_or_default();
    let told = std::env::var(MANAGED).ok();
    // Nobody below shall believe that it was meant. What the manager holds for us, if anything, is not
    // the daemon's: it listens nowhere but in its home.
    let (voice, _not_ours) = Voice::take()?;
    let kept = std::env::vars_os().filter(|(name, _)| {
        let name = name.to_string_lossy();
        KEPT.contains(&name.as_ref()) || name.starts_with("LC_")
    });
    let kept: Vec<(OsString, OsString)> = kept.collect();
    env::replace_environment(kept)?;
    let told = told.and_then(|text| Managed::parse(&text));
    let managed = match voice.is_heard() {
        true => Some(Managed {
            patience: voice.patience(),
        }),
        false => told,
    };
    Ok(match word.split_once(':') {
        Some(("guard", pid)) => match pid.parse() {
            Ok(pid) => Part::StandIn(pid, Service { voice, managed }),
            Err(_) => Part::Guard(Service { voice, managed }),
        },
        _ if word == "proper" => Part::Proper(told),
        _ if word == "probe" => Part::Probe,
        _ => Part::Guard(Service { voice, managed }),
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

/// Takes the pipe that is stdout, on which a daemon proper gives signs; stdout is nobody's then. None = it
/// is none.
pub(crate) fn take_words() -> io::Result<Option<OwnedFd>> {
    let stdout = fd::duplicate(rustix::stdio::stdout())?;
    rustix::stdio::dup2_stdout(fd::null()?)?;
    let found = rustix::fs::fstat(&stdout)?;
    let is_pipe = FileType::from_raw_mode(found.st_mode) == FileType::Fifo;
    if is_pipe {
        fd::set_blocking(stdout.as_fd(), fd::Blocking::No)?;
    }
    Ok(is_pipe.then_some(stdout))
}

/// The arguments of this process, for one that is to be the same.
pub(crate) fn arguments() -> Vec<OsString> {
    std::env::args_os().skip(1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_often_a_manager_wants_a_sign_is_passed_on() {
        for patience in [None, Some(Duration::from_secs(30))] {
            let managed = Managed { patience };
            let (_, value) = managed.variable();
            assert_eq!(Managed::parse(value.to_str().unwrap()), Some(managed));
        }
        assert_eq!(Managed::parse(""), None);
        assert_eq!(Managed::parse("soon"), None);
    }
}
