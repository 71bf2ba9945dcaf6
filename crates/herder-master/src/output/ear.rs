//! Events, overheard for whoever is connected with the herd's socket.
//!
//! They are put aside where all events pass, in the queue, whether or not the narrator gets to tell them:
//! it may be stuck, and those who listen here are not.

use std::sync::Arc;

use herder_sys::wake::Wake;

use super::json;
use super::queue::lost_events;
use super::wall::Stamp;
use crate::event::HerdEvent;

/// How many events may wait for the main thread. It takes them at each of its turns.
const LIMIT: usize = 4096;

/// What was put aside. Closed until somebody listens: then it costs nothing.
#[derive(Default)]
pub(super) struct Ear {
    bell: Option<Arc<Wake>>,
    events: Vec<Overheard>,
    lost: u64,
}

/// An event, and when it happened.
pub(crate) struct Overheard {
    stamp: Stamp,
    event: HerdEvent,
}

impl Ear {
    /// From now on everything is put aside, and rung for.
    pub(super) fn open(&mut self, bell: Arc<Wake>) {
        self.bell = Some(bell);
    }

    /// Nobody listens any more.
    pub(super) fn close(&mut self) {
        *self = Ear::default();
    }

    /// Puts an event aside. Single jobs and messages of programs are left out: as many come as clients
    /// send.
    pub(super) fn hear(&mut self, stamp: Stamp, event: &HerdEvent) {
        let Some(bell) = &self.bell else { return };
        if matches!(
            event,
            HerdEvent::JobDispatched { .. } | HerdEvent::Message { .. }
        ) {
            return;
        }
        if self.events.len() >= LIMIT {
            self.lost += 1;
            return;
        }
        let event = event.clone();
        self.events.push(Overheard { stamp, event });
        bell.wake();
    }

    /// What was put aside since.
    pub(super) fn take(&mut self) -> Vec<Overheard> {
        let mut events = std::mem::take(&mut self.events);
        let lost = std::mem::take(&mut self.lost);
        if lost > 0 {
            let (stamp, event) = (Stamp::now(), lost_events(lost));
            events.push(Overheard { stamp, event });
        }
        events
    }
}

impl Overheard {
    /// Appends the object of the JSON log, and a newline.
    pub(crate) fn write(&self, app: &str, into: &mut Vec<u8>) {
        json::event(app, self.stamp, &self.event, into);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warning(text: &str) -> HerdEvent {
        let text = text.to_owned();
        HerdEvent::Warning { text }
    }

    fn texts(ear: &mut Ear) -> Vec<String> {
        let mut bytes = Vec::new();
        ear.take().iter().for_each(|it| it.write("web", &mut bytes));
        let text = String::from_utf8(bytes).expect("JSON");
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn events_are_heard_from_the_moment_on_in_which_somebody_listens() {
        let mut ear = Ear::default();
        ear.hear(Stamp::now(), &warning("before"));
        ear.open(Arc::new(Wake::new().expect("a bell")));
        ear.hear(Stamp::now(), &warning("one"));
        let worker = crate::event::WorkerInfo {
            slot: 0,
            id: 1,
            pid: 2,
        };
        ear.hear(Stamp::now(), &HerdEvent::JobDispatched { job: 1, worker });
        ear.hear(Stamp::now(), &warning("two"));
        let heard = texts(&mut ear);
        assert_eq!(heard.len(), 2, "{heard:?}");
        assert!(heard[0].contains(r#""text":"one""#) && heard[0].contains(r#""level":"warning""#));
        ear.close();
        ear.hear(Stamp::now(), &warning("after"));
        assert_eq!(texts(&mut ear), Vec::<String>::new());
    }

    #[test]
    fn what_nobody_takes_is_bounded_and_counted() {
        let mut ear = Ear::default();
        ear.open(Arc::new(Wake::new().expect("a bell")));
        for _ in 0..LIMIT + 3 {
            ear.hear(Stamp::now(), &warning("again"));
        }
        let heard = texts(&mut ear);
        assert_eq!(heard.len(), LIMIT + 1);
        assert!(heard[LIMIT].contains('3'), "{}", heard[LIMIT]);
        assert_eq!(texts(&mut ear), Vec::<String>::new());
    }
}
