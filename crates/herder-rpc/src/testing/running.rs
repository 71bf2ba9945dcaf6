//! A library that runs in this process.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::net::UnixListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::RawCaller;
use crate::server::{Library, LibraryIdentity, ServeError};

/// The herd of every [`RunningLibrary`].
const HERD: &str = "00112233445566778899aabbccddeeff";

/// A library that is served by tasks of this process, on a socket in a directory of its own.
#[derive(Debug)]
pub struct RunningLibrary {
    directory: PathBuf,
    socket: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    served: Option<JoinHandle<Result<(), ServeError>>>,
}

impl RunningLibrary {
    /// Starts a library as its first incarnation. Needs a runtime.
    ///
    /// # Errors
    ///
    /// Those of making the directory and the socket.
    pub fn start(library: Library) -> io::Result<Self> {
        let directory = private_directory()?;
        let socket = directory.join("library.sock");
        let mut running = Self {
            directory,
            socket,
            stop: None,
            served: None,
        };
        running.serve(library, 1)?;
        Ok(running)
    }

    /// Ends the library as a crash does, at once, and starts another incarnation in its place.
    ///
    /// # Errors
    ///
    /// As [`RunningLibrary::start`].
    pub async fn replace(&mut self, library: Library, epoch: u64) -> io::Result<()> {
        if let Some(served) = self.served.take() {
            served.abort();
            drop(served.await);
        }
        std::fs::remove_file(&self.socket)?;
        self.serve(library, epoch)
    }

    /// Asks the library to end, and waits until it has.
    ///
    /// # Errors
    ///
    /// What serving ended with.
    pub async fn stop(mut self) -> Result<(), ServeError> {
        drop(self.stop.take());
        self.ended().await
    }

    /// Asks the library to end.
    pub fn ask_to_stop(&mut self) {
        drop(self.stop.take());
    }

    /// Waits until the library has ended.
    ///
    /// # Errors
    ///
    /// What serving ended with.
    pub async fn ended(&mut self) -> Result<(), ServeError> {
        match self.served.take() {
            Some(served) => served.await.unwrap_or(Ok(())),
            None => Ok(()),
        }
    }

    /// Where the library listens.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The herd that its callers must belong to.
    #[must_use]
    pub fn herd(&self) -> &'static str {
        HERD
    }

    /// A caller that speaks in frames and has been let in.
    ///
    /// # Errors
    ///
    /// Those of the socket, and what [`RawCaller::greet`] says.
    pub async fn caller(&self) -> io::Result<RawCaller> {
        let mut caller = RawCaller::connect(&self.socket).await?;
        caller.greet(HERD).await?;
        Ok(caller)
    }

    fn serve(&mut self, library: Library, epoch: u64) -> io::Result<()> {
        let listener = UnixListener::bind(&self.socket)?;
        let identity = LibraryIdentity {
            name: library.name().to_owned(),
            epoch,
            app: "test".to_owned(),
            herd: HERD.to_owned(),
        };
        let (stop, stopped) = oneshot::channel();
        self.stop = Some(stop);
        self.served = Some(tokio::spawn(library.serve_on(listener, identity, stopped)));
        Ok(())
    }
}

impl Drop for RunningLibrary {
    fn drop(&mut self) {
        if let Some(served) = &self.served {
            served.abort();
        }
        drop(std::fs::remove_dir_all(&self.directory));
    }
}

fn private_directory() -> io::Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt as _;
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("herder-rpc-{}-{number}", std::process::id());
    let directory = std::env::temp_dir().join(name);
    std::fs::DirBuilder::new().mode(0o700).create(&directory)?;
    Ok(directory)
}
