//! Connections to workers, and why there is none.

use std::io;
use std::path::Path;
use std::time::Duration;

use herder_sys::directory::PinnedSocket;
use herder_sys::socket::{Shortage, shortage};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{sleep, timeout};

use crate::edge::stream::Stream;
use crate::proxy::backends::{BackendAddress, Failure};

/// How long a Unix socket whose queue is full is left alone: nobody tells when there is room.
const FULL: Duration = Duration::from_millis(2);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotConnected {
    /// The worker did not take it.
    #[error("did not take the connection: {0}")]
    Refused(io::Error),
    /// The worker did not take it in time.
    #[error("did not take the connection in time")]
    TimedOut,
    /// There is nothing left to connect with, so that no worker is to blame.
    #[error("the gateway has no {0} left for a connection to a worker")]
    Short(Shortage),
}

impl NotConnected {
    /// What it says about the worker, if anything.
    pub(crate) fn failure(&self) -> Option<Failure> {
        match self {
            NotConnected::Refused(_) => Some(Failure::Refused),
            NotConnected::TimedOut => Some(Failure::TimedOut),
            NotConnected::Short(_) => None,
        }
    }
}

impl From<io::Error> for NotConnected {
    fn from(error: io::Error) -> NotConnected {
        match shortage(&error) {
            Some(shortage) => NotConnected::Short(shortage),
            None if error.kind() == io::ErrorKind::TimedOut => NotConnected::TimedOut,
            None => NotConnected::Refused(error),
        }
    }
}

/// Connects to a worker, within so long.
pub(super) async fn connect(to: &BackendAddress, within: Duration) -> Result<Stream, NotConnected> {
    let connect = async {
        match to {
            BackendAddress::Tcp(address) => {
                let tcp = TcpStream::connect(address).await?;
                tcp.set_nodelay(true)?;
                Ok(Stream::Tcp(tcp))
            }
            BackendAddress::Unix(path) => connect_unix(path).await.map(Stream::Unix),
        }
    };
    let connected = timeout(within, connect).await;
    connected.unwrap_or(Err(NotConnected::TimedOut))
}

/// The worker may put what it likes in the place of its socket, and what this process may connect to is not
/// the worker's to choose.
async fn connect_unix(path: &Path) -> Result<UnixStream, NotConnected> {
    loop {
        let socket = PinnedSocket::at(path)?;
        match UnixStream::connect(socket.path()).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(FULL).await,
            connected => return Ok(connected?),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn a_link_in_the_place_of_a_socket_leads_nowhere() {
        let directory = std::env::temp_dir().join(format!("herder-link-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let [own, secret] = ["own", "secret"].map(|name| directory.join(name));
        let guarded = UnixListener::bind(&secret).unwrap();
        symlink(&secret, &own).unwrap();
        let to = BackendAddress::Unix(own.clone());
        let refused = connect(&to, LONG).await.unwrap_err();
        assert_eq!(refused.failure(), Some(Failure::Refused), "{refused}");
        guarded.set_nonblocking(true).unwrap();
        let nobody = guarded.accept().unwrap_err();
        assert_eq!(nobody.kind(), io::ErrorKind::WouldBlock);
        // The socket itself is as good as any.
        fs::remove_file(&own).unwrap();
        let listener = UnixListener::bind(&own).unwrap();
        connect(&to, LONG).await.unwrap();
        listener.accept().unwrap();
        fs::remove_dir_all(&directory).unwrap();
    }

    #[tokio::test]
    async fn a_full_queue_is_waited_for() {
        let path = std::env::temp_dir().join(format!("herder-full-{}", std::process::id()));
        let listener = UnixListener::bind(&path).unwrap();
        herder_sys::listener::listen_again(std::os::fd::AsFd::as_fd(&listener), 1).unwrap();
        let to = BackendAddress::Unix(path.clone());
        let mut queued = Vec::new();
        let moment = Duration::from_millis(50);
        let late = loop {
            match connect(&to, moment).await {
                Ok(stream) => queued.push(stream),
                Err(late) => break late,
            }
        };
        assert_eq!(late.failure(), Some(Failure::TimedOut), "{late}");
        let take = async {
            sleep(moment).await;
            listener.accept().unwrap()
        };
        let (connected, _taken) = tokio::join!(connect(&to, LONG), take);
        connected.unwrap();
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn what_this_process_lacks_says_nothing_about_a_worker() {
        let short = NotConnected::from(io::Error::from_raw_os_error(24));
        assert_eq!(short.failure(), None);
        let text = "the gateway has no descriptor left for a connection to a worker";
        assert_eq!(short.to_string(), text);
    }
}
