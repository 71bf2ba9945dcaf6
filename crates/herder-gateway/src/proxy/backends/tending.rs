//! What is done for the workers from time to time.

use std::rc::{Rc, Weak};
use std::time::Duration;

use tokio::task::spawn_local;
use tokio::time::{Instant, sleep};

use crate::proxy::backends::lease::is_silent;
use crate::proxy::backends::{Backends, COUNTS_EVERY, Counts, Shared, now};

/// How often kept connections are looked at while nothing else happens.
const IDLE: Duration = Duration::from_secs(1);

impl Backends {
    /// From now on workers that were left out come back in time, counts are said, and connections
    /// that are not used any more are closed: by a task of the current local set, which ends with
    /// the last clone. Once is enough.
    pub(crate) fn keep_tended(&self) {
        if !self.shared.tended.replace(true) {
            drop(spawn_local(tend(Rc::downgrade(&self.shared))));
        }
    }

    /// There is something to say or to do.
    pub(super) fn stir(&self) {
        if !self.shared.stirred.replace(true) {
            self.shared.stir.notify_one();
        }
    }

    /// Does what is due; says when to look again if nothing happens.
    fn tick(&self) -> Option<Duration> {
        let mut state = self.shared.state.borrow_mut();
        let state = &mut *state;
        state.balancer.timer(now());
        self.tell(state);
        let (instant, mut kept) = (Instant::now(), 0);
        let mut changed = Vec::new();
        for (worker, entry) in &mut state.workers {
            let usable = |it: &mut super::Kept| it.until > instant && is_silent(&mut it.stream);
            entry.kept.retain_mut(usable);
            kept += entry.kept.len();
            if entry.counts == Counts::Changed {
                changed.push(*worker);
            }
        }
        for worker in changed {
            self.say_counts(state, worker);
        }
        let restored = state.balancer.poll_timeout();
        let restored = restored.map(|at| at.since(now()).max(COUNTS_EVERY).min(IDLE));
        restored.or((kept > 0).then_some(IDLE))
    }
}

async fn tend(shared: Weak<Shared>) {
    let mut pause = None;
    loop {
        let Some(held) = shared.upgrade() else { return };
        let backends = Backends { shared: held };
        tokio::select! {
            () = backends.shared.stir.notified() => {}
            () = sleep(pause.unwrap_or(IDLE)) => if pause.is_none() { continue },
        }
        drop(backends);
        sleep(COUNTS_EVERY).await;
        let Some(held) = shared.upgrade() else { return };
        let backends = Backends { shared: held };
        backends.shared.stirred.set(false);
        pause = backends.tick();
        backends.shared.ticked.notify_waiters();
    }
}
