//! Files that are watched: [`rules`] say what counts, [`tree`] has the directories, [`Changes`] says what
//! follows.
//!
//! It is inotify itself, because of what it is not to tell: a program that reads its files all day must
//! not wake the daemon. Only directories that count are watched, so `node_modules` costs nothing.

mod changes;
mod rules;
mod tree;
#[cfg(test)]
mod tree_tests;

use std::ffi::OsStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags};
use rustix::io::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::waited::{Waited, readable};

pub(super) use changes::{Changes, Move, Standing};
pub(super) use rules::Plan;
use tree::{Heard, Told, Tree};

/// How much is read from the kernel at a time, in bytes.
const BUFFER: usize = 16 << 10;

/// How many events are looked at in one turn.
const TURN: usize = 16 << 10;

/// How many changes are told in one turn: enough to know that they are many.
const TOLD: usize = 128;

/// How long it rests between two turns, so that whoever writes a thousand files wakes nobody a thousand
/// times.
const PAUSE: Duration = Duration::from_millis(20);

/// What a watch tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Word {
    /// From now on changes are seen.
    Watching,
    /// These have changed, as seen from where the app runs.
    Changed(Vec<String>),
    /// Nothing is watched: why.
    Broken(String),
}

/// Watches until it is dropped, or until it cannot.
pub(super) async fn watch(plan: Plan, tell: impl Fn(Word)) {
    if let Err(why) = try_watch(Arc::new(plan), &tell).await {
        tell(Word::Broken(why));
    }
}

async fn try_watch(plan: Arc<Plan>, tell: &impl Fn(Word)) -> Result<(), String> {
    loop {
        // Closed at the end, it forgets all that it watched.
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK);
        let inotify = Arc::new(inotify.map_err(no_instance)?);
        let events = readable(Arc::clone(&inotify)).map_err(|error| error.to_string())?;
        let begun = (Arc::clone(&plan), inotify);
        // A large tree takes a while to read.
        let tree = spawn_blocking(move || Tree::new(begun.0, begun.1));
        let tree = tree.await.map_err(|error| error.to_string())??;
        tell(Word::Watching);
        follow(&plan, tree, &events, tell).await?;
    }
}

fn no_instance(error: Errno) -> String {
    if error == Errno::MFILE {
        let text = "this user has too many programs that watch files";
        return format!("{text} (fs.inotify.max_user_instances)");
    }
    format!("files cannot be watched: {error}")
}

/// Tells what changes. Returns when all is to be looked at anew.
async fn follow(
    plan: &Plan,
    mut tree: Tree,
    events: &AsyncFd<Waited<Arc<OwnedFd>>>,
    tell: &impl Fn(Word),
) -> Result<(), String> {
    while tree.len() > 0 {
        let told = read(events).await.map_err(|error| error.to_string())?;
        let mut changed = Vec::new();
        let mut anew = false;
        for told in told {
            match tree.hear(&told) {
                Heard::Nothing => {}
                Heard::Changed(path) => changed.push(plan.shown(&path)),
                Heard::Anew(path) => {
                    changed.extend(path.map(|path| plan.shown(&path)));
                    anew = true;
                }
                Heard::Directory(path) => {
                    let (grown, first) = grow(tree, path).await?;
                    tree = grown;
                    changed.extend(first.map(|path| plan.shown(&path)));
                }
            }
        }
        if !changed.is_empty() {
            changed.truncate(TOLD);
            tell(Word::Changed(changed));
        }
        if anew {
            return Ok(());
        }
        sleep(PAUSE).await;
    }
    Err("what was watched is gone".to_owned())
}

/// A directory is there that was not; perhaps with files in it.
async fn grow(mut tree: Tree, path: PathBuf) -> Result<(Tree, Option<PathBuf>), String> {
    let grown = spawn_blocking(move || {
        let first = tree.add(&path)?;
        Ok((tree, first))
    });
    grown.await.map_err(|error| error.to_string())?
}

async fn read(events: &AsyncFd<Waited<Arc<OwnedFd>>>) -> io::Result<Vec<Told>> {
    loop {
        let mut ready = events.ready(Interest::READABLE).await?;
        let read = ready.try_io(|fd| read_now(&fd.get_ref().0));
        match read {
            Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(told) => return told,
            Err(_nothing_more) => {}
        }
    }
}

/// What there is to read now.
fn read_now(inotify: &OwnedFd) -> io::Result<Vec<Told>> {
    let mut buffer = [MaybeUninit::uninit(); BUFFER];
    let mut reader = inotify::Reader::new(inotify, &mut buffer);
    let mut told = Vec::new();
    loop {
        if told.len() >= TURN && reader.is_buffer_empty() {
            return Ok(told);
        }
        let event = match reader.next() {
            Ok(event) => event,
            // The next time it says so again.
            Err(_) if !told.is_empty() => return Ok(told),
            Err(error) => return Err(error.into()),
        };
        let name = event.file_name();
        told.push(Told {
            watch: event.wd(),
            what: event.events(),
            name: name.map(|name| OsStr::from_bytes(name.to_bytes()).to_owned()),
        });
    }
}
