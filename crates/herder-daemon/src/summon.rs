//! Starting a daemon when there is none.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use herder_api::Problem;
use herder_api::problem::ProblemKind;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::part;
use crate::settings::Announcement;

/// How long a daemon may take to begin.
const LIMIT: Duration = Duration::from_secs(10);

/// The longest announcement.
const LONGEST: usize = 64 << 10;

/// Starts a daemon in the background for `home`, and waits until it is ready (at most 10 s). Runs this
/// executable as `herder daemon --background` with `HERDER_HOME` set. Returns the guard's pid.
///
/// # Errors
/// Why it did not become ready. That another one has the home is no error: its pid is returned (0 = it
/// has not said yet), though it may not answer yet.
pub fn summon(home: &Path) -> Result<i32, Problem> {
    let failed = |error: io::Error| {
        let text = format!("the daemon cannot be started: {error}");
        Problem::new(ProblemKind::Internal, text)
    };
    let mut command = Command::new("/proc/self/exe");
    // Apps get the variables of who starts them. Of the secrets of whoever came first a daemon has no need.
    for name in secrets() {
        command.env_remove(name);
    }
    let mut child = command
        .args(["daemon", "--background"])
        .env(part::HOME, home)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let line = first_line(&mut child).map_err(failed)?;
    match serde_json::from_slice(&line) {
        Ok(Announcement::Ready { pid }) => Ok(pid),
        Ok(Announcement::Held { pid }) => {
            drop(child.wait());
            Ok(pid)
        }
        Ok(Announcement::Failed { problem }) => {
            drop(child.wait());
            Err(problem)
        }
        Err(_) => {
            let text = "the daemon ended before it said why, or did not begin within 10 s";
            let hint = format!("{}/daemon.err may tell more", home.display());
            Err(Problem::new(ProblemKind::Internal, text).hint(hint))
        }
    }
}

/// The variables of this process that hold secrets, as far as one can see.
fn secrets() -> Vec<String> {
    let texts = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let variables: BTreeMap<String, String> = texts.collect();
    let shown = herder_config::redact_environment(&variables);
    let hidden = variables
        .into_iter()
        .filter(|(name, value)| shown.get(name) != Some(value));
    hidden.map(|(name, _)| name).collect()
}

/// What it says first, or nothing in time.
fn first_line(child: &mut Child) -> io::Result<Vec<u8>> {
    let Some(mut words) = child.stdout.take() else {
        return Ok(Vec::new());
    };
    let until = Instant::now() + LIMIT;
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') && line.len() < LONGEST {
        let left = until.saturating_duration_since(Instant::now());
        let left = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        };
        let mut asked = [PollFd::from_borrowed_fd(words.as_fd(), PollFlags::IN)];
        match poll(&mut asked, Some(&left)) {
            Ok(0) => break,
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let mut bytes = [0; 4096];
        let length = words.read(&mut bytes)?;
        if length == 0 {
            break;
        }
        line.extend_from_slice(&bytes[..length]);
    }
    Ok(line)
}
