//! Where the workers' news, and the owner's wish to stop, are left for the coordinator.

use std::collections::VecDeque;
use std::io;
use std::sync::Mutex;

use herder_sys::wake::Wake;
use herder_wire::control::ToMaster;

use crate::worker::lock;

/// Something for the coordinator.
pub(crate) enum News {
    /// The worker with this id is over, with this exit status.
    Ended(u64, i32),
    /// The worker with this id says something.
    Said(u64, ToMaster),
    /// The owner wants the herd to end.
    Stop,
}

pub(crate) struct Desk {
    news: Mutex<VecDeque<News>>,
    bell: Wake,
    ended: Wake,
}

impl Desk {
    pub(crate) fn new() -> io::Result<Desk> {
        Ok(Desk {
            news: Mutex::new(VecDeque::new()),
            bell: Wake::new()?,
            ended: Wake::new()?,
        })
    }

    pub(crate) fn post(&self, news: News) {
        lock(&self.news).push_back(news);
        self.bell.wake();
    }

    /// Everything that was posted.
    pub(crate) fn collect(&self) -> VecDeque<News> {
        self.bell.clear();
        std::mem::take(&mut *lock(&self.news))
    }

    /// Rings when something was posted.
    pub(crate) fn bell(&self) -> &Wake {
        &self.bell
    }

    /// Rings when the herd has ended.
    pub(crate) fn ended(&self) -> &Wake {
        &self.ended
    }
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}
