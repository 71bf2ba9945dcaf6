//! Where a daemon is found, and what is done when it is not there.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use herder_api::Problem;
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep};

use crate::error::Error;

/// How long a daemon that was there, or was just started, or has a guard, has to be there again.
pub(crate) const RETURN: Duration = Duration::from_secs(5);

/// How long a socket that nobody listens at may stay so before the daemon is taken for dead, when nothing
/// else says that it is alive.
const GAP: Duration = Duration::from_millis(500);

/// How often it is tried again meanwhile.
pub(crate) const STEP: Duration = Duration::from_millis(10);

/// What starts the daemon when there is none.
pub(crate) type Starter = Arc<dyn Fn() -> Result<(), Problem> + Send + Sync>;

/// Where the daemon listens, and who starts it.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) socket: PathBuf,
    pub(crate) starter: Option<Starter>,
}

impl Place {
    /// A connection. A daemon that is just being restarted is waited for; one that is not there is started.
    pub(crate) async fn reach(&self) -> Result<UnixStream, Error> {
        let socket = &self.socket;
        let mut found = UnixStream::connect(socket).await;
        let patience = match &found {
            Err(error) if is_passing(error) && is_guarded(socket) => Some(RETURN),
            Err(error) if is_passing(error) && error.kind() != ErrorKind::NotFound => Some(GAP),
            _ => None,
        };
        if let Some(patience) = patience {
            found = keep_trying(socket, patience).await;
        }
        let absent = matches!(&found, Err(error) if is_absence(error));
        if let (true, Some(starter)) = (absent, &self.starter) {
            starter().map_err(Error::Unreachable)?;
            found = keep_trying(socket, RETURN).await;
        }
        found.map_err(|error| Error::absent(socket, &error))
    }

    /// A connection with a daemon that was there a moment ago: it, or the next one, is waited for.
    pub(crate) async fn reach_again(&self) -> Result<UnixStream, Error> {
        let found = keep_trying(&self.socket, RETURN).await;
        found.map_err(|error| Error::absent(&self.socket, &error))
    }
}

/// Whether the daemon has a guard that lives, and brings it back: the lock beside the socket names it.
/// (The lock itself is not tried: a daemon that begins at this moment would find it taken.)
fn is_guarded(socket: &Path) -> bool {
    let lock = socket.with_file_name("daemon.lock");
    // A pipe, say, would be waited for.
    let is_file = std::fs::symlink_metadata(&lock).is_ok_and(|found| found.is_file());
    let named = is_file.then(|| std::fs::read_to_string(lock));
    let named = named.and_then(Result::ok);
    let pid = named.and_then(|text| text.trim().parse::<u32>().ok());
    let arguments = pid.and_then(|pid| std::fs::read(format!("/proc/{pid}/cmdline")).ok());
    // The number may be another process's by now.
    arguments.is_some_and(|all| all.split(|byte| *byte == 0).any(|one| one == b"daemon"))
}

fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused | ErrorKind::NotFound
    )
}

/// Also when more connect at this moment than the kernel queues.
fn is_passing(error: &io::Error) -> bool {
    is_absence(error) || error.kind() == ErrorKind::WouldBlock
}

/// Tries until somebody listens.
async fn keep_trying(socket: &Path, time: Duration) -> io::Result<UnixStream> {
    let end = Instant::now() + time;
    loop {
        match UnixStream::connect(socket).await {
            Err(error) if is_passing(&error) && Instant::now() < end => sleep(STEP).await,
            found => return found,
        }
    }
}
