//! How everything at the edge hears that the herd stops, and how many connections there are.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::Notify;

/// What all connections of the edge share. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct House {
    shared: Rc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    closing: Cell<bool>,
    present: Cell<usize>,
    /// Two, because connections wait for the one, and come and go all the time.
    closed: Notify,
    left: Notify,
}

/// One connection that is there; dropping it says that it is gone.
#[derive(Debug)]
pub(crate) struct Presence {
    house: House,
}

impl House {
    /// No more connections, and no more requests on those that are there.
    pub(crate) fn close(&self) {
        self.shared.closing.set(true);
        self.shared.closed.notify_waiters();
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.shared.closing.get()
    }

    /// Waits until [`House::close`].
    pub(crate) async fn closing(&self) {
        until(&self.shared.closed, || self.is_closing()).await;
    }

    /// Counts a connection that came.
    pub(crate) fn enter(&self) -> Presence {
        self.shared.present.set(self.present() + 1);
        Presence {
            house: self.clone(),
        }
    }

    /// How many connections there are.
    pub(crate) fn present(&self) -> usize {
        self.shared.present.get()
    }

    /// Waits until there are fewer connections than this.
    pub(crate) async fn fewer_than(&self, limit: usize) {
        until(&self.shared.left, || self.present() < limit).await;
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let shared = &self.house.shared;
        shared.present.set(shared.present.get().saturating_sub(1));
        shared.left.notify_waiters();
    }
}

async fn until(changed: &Notify, so: impl Fn() -> bool) {
    // Nobody else is on this thread, so nothing changes between the look and the wait.
    while !so() {
        changed.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn those_who_wait_hear_of_the_end_and_of_free_places() {
        let house = House::default();
        let (one, other) = (house.enter(), house.enter());
        let full = async {
            house.fewer_than(2).await;
            house.present()
        };
        let leave = async { drop(one) };
        assert_eq!(tokio::join!(full, leave).0, 1);
        let close = async { house.close() };
        tokio::join!(house.closing(), close);
        assert!(house.is_closing());
        drop(other);
        house.fewer_than(1).await;
    }
}
