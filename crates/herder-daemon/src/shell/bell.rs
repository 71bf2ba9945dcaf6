//! Rings when something is made in the directory of sockets: a master listens.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;

use crate::waited::{Waited, readable};

/// Rings by the [`watch::Sender`] until nobody listens any more.
pub(crate) async fn ring(directory: AsyncFd<Waited<OwnedFd>>, bell: watch::Sender<u64>) {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    while let Ok(mut ready) = directory.ready(Interest::READABLE).await {
        let read = ready.try_io(|fd| {
            let mut reader = inotify::Reader::new(&fd.get_ref().0, &mut buffer);
            reader.next().map(drop).map_err(io::Error::from)
        });
        match read {
            Ok(Ok(())) => bell.send_modify(|rung| *rung += 1),
            Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(Err(_)) => return,
            Err(_nothing_more) => {}
        }
        if bell.is_closed() {
            return;
        }
    }
}

/// Watches a directory.
pub(crate) fn watch_directory(path: &Path) -> io::Result<AsyncFd<Waited<OwnedFd>>> {
    let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    let flags = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ATTRIB;
    inotify::add_watch(&inotify, path, flags)?;
    readable(inotify)
}
