//! Keepers of herds: started, and found again.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, ErrorKind::QuotaExceeded, ErrorKind::StorageFull};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use herder_api::herd::HerdOrder;
use herder_sys::fd;
use herder_sys::pidfd::PidFd;
use herder_sys::process::{self, Executable, Launch};
use rustix::fs::OFlags;

use crate::home::{self, Durable, Home, order_name};
use crate::lock::{self, Taken};

/// How much of what a keeper complained of is read.
const COMPLAINT: usize = 16 << 10;

/// A keeper that lives, or lived a moment ago.
#[derive(Debug)]
pub(crate) struct Keeper {
    pub(crate) pidfd: PidFd,
    /// Whether we are its parent, and hear how it ends.
    pub(crate) is_child: bool,
}

/// What there is of a herd.
#[derive(Debug)]
pub(crate) enum Found {
    /// Nobody.
    Nobody,
    /// Its keeper lives; None = who it is, its master will say.
    Keeper(Option<Keeper>),
}

/// Starts a keeper. Its lock is its stdin: it is held exactly while the keeper lives.
pub(crate) fn start(
    home: &Home,
    executable: &Executable,
    order: &HerdOrder,
) -> Result<Keeper, String> {
    let name = &order.app.name;
    write_order(home, order).map_err(|error| unusable(&home.order_path(name), &error))?;
    let lock = match lock::take(home.run(), &lock::of_herd(name)) {
        Ok(Taken::Ours(lock)) => lock,
        Ok(Taken::Held(_)) => return Err("a herd of that name still runs".to_owned()),
        Err(error) => {
            let path = home.run_path().join(lock::of_herd(name));
            return Err(unusable(&path, &error));
        }
    };
    let stderr = complaints_of(home, name).map_err(|error| {
        let path = home.order_path(name).with_file_name(complaints(name));
        unusable(&path, &error)
    })?;
    let started = launch(home, executable, name, lock, stderr);
    started.map_err(|error| error.to_string())
}

fn unusable(path: &Path, error: &io::Error) -> String {
    home::unusable(path, error).message
}

/// An empty file for what a keeper complains of.
fn complaints_of(home: &Home, name: &str) -> io::Result<OwnedFd> {
    let complaints = complaints(name);
    home::remove(home.herds(), &complaints)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND;
    let file = home::open_file(home.herds(), &complaints, flags)?;
    // A terminal, or a pipe, waits. (The flag was for the case that something else stood there.)
    fd::set_blocking(file.as_fd(), fd::Blocking::Yes)?;
    Ok(file)
}

fn launch(
    home: &Home,
    executable: &Executable,
    name: &str,
    lock: OwnedFd,
    stderr: OwnedFd,
) -> io::Result<Keeper> {
    let args = [
        OsString::from("herd"),
        home.order_path(name).into_os_string(),
    ];
    let child = process::launch(Launch {
        executable,
        argv0: "herder".into(),
        args: &args,
        environment: Vec::new(),
        stdin: lock,
        stdout: Some(fd::null()?),
        stderr: Some(stderr),
    })?;
    Ok(Keeper {
        pidfd: child.pidfd,
        is_child: true,
    })
}

/// Writes what a herd is run from.
pub(crate) fn write_order(home: &Home, order: &HerdOrder) -> io::Result<()> {
    let bytes = serde_json::to_vec_pretty(order)?;
    let (directory, name) = (home.herds(), order_name(&order.app.name));
    let there = home::read(directory, &name);
    // No room is needed for what stands there already.
    if there.is_ok_and(|it| it.as_deref() == Some(bytes.as_slice())) {
        return Ok(());
    }
    // The list is what counts: an order can be written again.
    match home::write(directory, &name, &bytes, Durable::Later) {
        Err(error) if matches!(error.kind(), StorageFull | QuotaExceeded) => {
            // There may be room for one, where there is none for two.
            home::remove(directory, &name)?;
            home::write(directory, &name, &bytes, Durable::Later)
        }
        written => written,
    }
}

/// What a keeper said on stderr, line by line.
pub(crate) fn complaint(home: &Home, name: &str) -> Vec<String> {
    let bytes = home::read(home.herds(), &complaints(name));
    let bytes = bytes.ok().flatten().unwrap_or_default();
    let start = bytes.len().saturating_sub(COMPLAINT);
    let text = String::from_utf8_lossy(&bytes[start..]);
    text.lines().map(str::to_owned).collect()
}

fn complaints(name: &str) -> String {
    format!("{name}.err")
}

/// Removes what was kept for a herd that is gone.
pub(crate) fn forget(home: &Home, name: &str) -> io::Result<()> {
    home::remove(home.herds(), &order_name(name))?;
    home::remove(home.herds(), &complaints(name))?;
    home::remove(home.run(), &format!("{name}.sock"))?;
    home::remove(home.run(), &lock::of_herd(name))
}

/// Whose stdin is which file: a keeper's is its lock.
#[derive(Debug, Default)]
pub(crate) struct Holders(BTreeMap<(u64, u64), i32>);

impl Holders {
    /// Looks at all processes that may be looked at.
    pub(crate) fn look() -> Holders {
        let mut holders = BTreeMap::new();
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        for process in processes {
            let name = process.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else {
                continue;
            };
            if let Ok(found) = std::fs::metadata(stdin_of(pid)) {
                holders.insert((found.dev(), found.ino()), pid);
            }
        }
        Holders(holders)
    }

    /// Who holds the lock of the herd of that name.
    pub(crate) fn find(&self, home: &Home, name: &str) -> io::Result<Found> {
        let lock = match lock::take(home.run(), &lock::of_herd(name))? {
            // It is let go of again at once.
            Taken::Ours(_) => return Ok(Found::Nobody),
            Taken::Held(lock) => lock,
        };
        let file = rustix::fs::fstat(&lock)?;
        let key = (file.st_dev, file.st_ino);
        let keeper = self.0.get(&key).and_then(|pid| {
            let pidfd = PidFd::open(*pid).ok()?;
            // The number may have been another's a moment ago.
            let found = std::fs::metadata(stdin_of(*pid)).ok()?;
            let is_it = (found.dev(), found.ino()) == key;
            let is_child = pidfd.has_ended().is_ok();
            is_it.then_some(Keeper { pidfd, is_child })
        });
        Ok(Found::Keeper(keeper))
    }
}

fn stdin_of(pid: i32) -> String {
    format!("/proc/{pid}/fd/0")
}

/// Whether a herd's keeper lives.
pub(crate) fn lives(home: &Home, name: &str) -> bool {
    matches!(
        lock::take(home.run(), &lock::of_herd(name)),
        Ok(Taken::Held(_))
    )
}
