//! Accepting who waits at a worker that accepts nobody.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use herder_core::{Tick, WorkerId};
use herder_sys::listener::{self, AcceptError};
use herder_sys::wake::Wake;

/// A rescue that takes longer waits for somebody whom the worker has accepted itself. It is over then,
/// and whoever it accepts later is rescued nevertheless.
const PATIENCE: Duration = Duration::from_millis(100);

/// How many errors of single connections one rescue endures.
const ENDURED: u32 = 16;

/// The rescues that are under way, each in its own thread: a socket that foreign programs accept from
/// is blocking, and the worker may be faster.
pub(super) struct Rescues {
    bell: Arc<Wake>,
    sender: Sender<Find>,
    finds: Receiver<Find>,
    /// Until when, and how many so far.
    running: BTreeMap<WorkerId, (Tick, u32)>,
    rescued: Vec<(WorkerId, OwnedFd)>,
    over: Vec<WorkerId>,
}

/// What a rescue has found; `None`: nobody else.
struct Find(WorkerId, Option<OwnedFd>);

impl Rescues {
    pub(super) fn new() -> io::Result<Rescues> {
        let (sender, finds) = channel();
        Ok(Rescues {
            bell: Arc::new(Wake::new()?),
            sender,
            finds,
            running: BTreeMap::new(),
            rescued: Vec::new(),
            over: Vec::new(),
        })
    }

    pub(super) fn begin(&mut self, worker: WorkerId, socket: OwnedFd, now: Tick) -> io::Result<()> {
        let (sender, bell) = (self.sender.clone(), Arc::clone(&self.bell));
        let body = move || {
            accept_all(&socket, |found| {
                // Nobody hears when the group is gone; then the connection ends here.
                let heard = sender.send(Find(worker, Some(found))).is_ok();
                bell.wake();
                heard
            });
            let _unheard = sender.send(Find(worker, None));
            bell.wake();
        };
        let thread = std::thread::Builder::new().name("herder-rescue".into());
        // It ends by itself, at the latest when its socket is shut down.
        drop(thread.spawn(body)?);
        self.running.insert(worker, (now.after(PATIENCE), 0));
        Ok(())
    }

    /// The rescues that are over, and how many each has found.
    pub(super) fn finished(&mut self, now: Tick) -> Vec<(WorkerId, u32)> {
        self.hear();
        let late = self.running.iter().filter(|(_, (until, _))| *until <= now);
        self.over.extend(late.map(|(worker, _)| *worker));
        let over = std::mem::take(&mut self.over);
        let count = |worker| Some((worker, self.running.remove(&worker)?.1));
        over.into_iter().filter_map(count).collect()
    }

    pub(super) fn next_timer(&self) -> Option<Tick> {
        self.running.values().map(|(until, _)| *until).min()
    }

    pub(super) fn take(&mut self) -> Vec<(WorkerId, OwnedFd)> {
        self.hear();
        std::mem::take(&mut self.rescued)
    }

    /// The descriptor was readable. Before what it told of is asked for: it may tell of more.
    pub(super) fn silence(&self) {
        self.bell.clear();
    }

    fn hear(&mut self) {
        while let Ok(Find(worker, found)) = self.finds.try_recv() {
            match found {
                Some(connection) => {
                    if let Some((_, count)) = self.running.get_mut(&worker) {
                        *count += 1;
                    }
                    self.rescued.push((worker, connection));
                }
                None => self.over.push(worker),
            }
        }
    }
}

impl AsFd for Rescues {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

/// Accepts as long as somebody waits, and somebody takes them.
fn accept_all(socket: &OwnedFd, mut take: impl FnMut(OwnedFd) -> bool) {
    let mut errors = 0;
    while listener::waiting_at(socket.as_fd()).is_ok_and(|it| it.is_some_and(|it| it > 0)) {
        match listener::accept(socket.as_fd()) {
            Ok(connection) => {
                if !take(connection) {
                    return;
                }
            }
            Err(error) => match listener::accept_error(&error) {
                AcceptError::Transient if errors < ENDURED => errors += 1,
                AcceptError::None
                | AcceptError::Broken
                | AcceptError::OutOfDescriptors
                | AcceptError::Transient => return,
            },
        }
    }
}
