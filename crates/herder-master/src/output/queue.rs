//! The one queue between those who have something to say and the narrator.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use herder_logs::Ending;

use super::ear::Ear;
use super::wall::Stamp;
use crate::event::HerdEvent;
use crate::part::{Process, ProcessId};
use crate::verdict::Verdict;

/// How much of one process's output may wait, in bytes of memory.
pub(super) const PRINTER_LIMIT: usize = 1024 * 1024;

/// How many events may wait. They are few and matter more than lines, so the limit is only there
/// for a reader that is stuck for days.
pub(super) const EVENT_LIMIT: usize = 65_536;

/// How many reports of single jobs may wait among them. They are many, and must not take the place of
/// what matters more.
const JOB_LIMIT: usize = EVENT_LIMIT / 2;

/// And how many messages of Node programs: they are longer.
const MESSAGE_LIMIT: usize = EVENT_LIMIT / 16;

/// What a waiting line costs besides its bytes: empty lines take memory too.
pub(super) const LINE_OVERHEAD: usize = size_of::<Item>();

/// An emptied queue with room for more items than this gives its memory back.
const ROOM_KEPT: usize = 4096;

/// Where a process printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stream {
    Stderr,
    Stdout,
}

/// A line of a process, or a piece of a long one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Line {
    pub(super) printer: Process,
    pub(super) stream: Stream,
    pub(super) bytes: Box<[u8]>,
    pub(super) ending: Ending,
}

/// What the narrator is given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Item {
    Event(Stamp, HerdEvent),
    Line(Stamp, Line),
    Verdict(Stamp, Box<Ruled>),
}

/// An event that is a verdict.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Ruled {
    pub(super) event: HerdEvent,
    pub(super) verdict: Verdict,
    /// Which one of this herd.
    pub(super) number: u64,
}

/// Events and lines in the order in which they came. Putting something in never waits.
#[derive(Default)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Default)]
struct Inner {
    items: VecDeque<Item>,
    /// One for each process that has lines here or has lost some.
    accounts: BTreeMap<ProcessId, Account>,
    events: usize,
    events_dropped: u64,
    ear: Ear,
    closed: bool,
}

struct Account {
    /// Memory of this process's lines in the queue.
    bytes: usize,
    /// Lines lost since the loss was last told.
    dropped: u64,
}

impl Queue {
    /// Adds an event. Beyond [`EVENT_LIMIT`] (or [`JOB_LIMIT`]) it is dropped and counted.
    pub(super) fn tell(&self, event: HerdEvent) {
        let mut inner = self.lock();
        if inner.closed {
            return;
        }
        let limit = if let HerdEvent::JobDispatched { .. } = event {
            JOB_LIMIT
        } else if let HerdEvent::Message { .. } = event {
            MESSAGE_LIMIT
        } else {
            EVENT_LIMIT
        };
        if inner.events >= limit {
            inner.events_dropped += 1;
            return;
        }
        inner.tell_lost_events();
        inner.push_event(event);
        drop(inner);
        self.changed.notify_one();
    }

    /// Adds a verdict, as [`tell`](Queue::tell) an event.
    pub(super) fn rule(&self, ruled: Ruled) {
        let mut inner = self.lock();
        if inner.closed {
            return;
        }
        if inner.events >= EVENT_LIMIT {
            inner.events_dropped += 1;
            return;
        }
        inner.tell_lost_events();
        inner.events += 1;
        let stamp = Stamp::now();
        inner.ear.hear(stamp, &ruled.event);
        inner.items.push_back(Item::Verdict(stamp, Box::new(ruled)));
        drop(inner);
        self.changed.notify_one();
    }

    /// Adds a line. Beyond [`PRINTER_LIMIT`] it is dropped and counted; then everything of this
    /// process is dropped until half of its memory is free again, so that the loss is one gap, told
    /// once, and not a sieve.
    pub(super) fn print(&self, stamp: Stamp, line: Line) {
        let mut inner = self.lock();
        if inner.closed {
            return;
        }
        let cost = line.bytes.len() + LINE_OVERHEAD;
        let printer = line.printer;
        let account = inner.accounts.entry(printer.id()).or_insert(Account {
            bytes: 0,
            dropped: 0,
        });
        let limit = if account.dropped > 0 {
            PRINTER_LIMIT / 2
        } else {
            PRINTER_LIMIT
        };
        if account.bytes + cost > limit {
            account.dropped += 1;
            return;
        }
        account.bytes += cost;
        let lost = std::mem::take(&mut account.dropped);
        if lost > 0 {
            inner.push_event(lost_lines(printer, lost));
        }
        inner.items.push_back(Item::Line(stamp, line));
        drop(inner);
        self.changed.notify_one();
    }

    /// Does something with the events that are overheard.
    pub(super) fn overhear<T>(&self, act: impl FnOnce(&mut Ear) -> T) -> T {
        act(&mut self.lock().ear)
    }

    /// Nothing more comes. What is here is still given out.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// The next item, if there is one.
    pub(super) fn try_next(&self) -> Option<Item> {
        self.lock().pop()
    }

    /// The next item; waits for it. `None` = the queue is closed and empty.
    pub(super) fn next(&self) -> Option<Item> {
        let mut inner = self.lock();
        loop {
            if let Some(item) = inner.pop() {
                return Some(item);
            }
            if inner.closed {
                return None;
            }
            inner = self
                .changed
                .wait(inner)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Memory of all waiting lines, in bytes.
    #[cfg(test)]
    pub(super) fn line_bytes(&self) -> usize {
        self.lock()
            .accounts
            .values()
            .map(|account| account.bytes)
            .sum()
    }

    /// No code panics while it holds this lock, and if one did, the lists would still be lists.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn push_event(&mut self, event: HerdEvent) {
        self.events += 1;
        let stamp = Stamp::now();
        self.ear.hear(stamp, &event);
        self.items.push_back(Item::Event(stamp, event));
    }

    fn tell_lost_events(&mut self) {
        let lost = std::mem::take(&mut self.events_dropped);
        if lost > 0 {
            self.push_event(lost_events(lost));
        }
    }

    fn pop(&mut self) -> Option<Item> {
        let Some(item) = self.items.pop_front() else {
            if self.items.capacity() > ROOM_KEPT {
                self.items = VecDeque::new();
            }
            return None;
        };
        match &item {
            Item::Event(..) | Item::Verdict(..) => {
                self.events -= 1;
                if self.events == 0 {
                    self.tell_lost_events();
                }
            }
            Item::Line(_, line) => self.settle(line.printer, line.bytes.len() + LINE_OVERHEAD),
        }
        Some(item)
    }

    /// Takes a line off its printer's account. With the last one the loss is told, because there
    /// may never be a next line to tell it before.
    fn settle(&mut self, printer: Process, cost: usize) {
        let Some(account) = self.accounts.get_mut(&printer.id()) else {
            return;
        };
        account.bytes -= cost;
        if account.bytes == 0
            && let Some(Account { dropped, .. }) = self.accounts.remove(&printer.id())
            && dropped > 0
        {
            self.push_event(lost_lines(printer, dropped));
        }
    }
}

/// How it is told that lines of a process are missing.
pub(super) fn lost_lines(printer: Process, lines: u64) -> HerdEvent {
    let worker = printer.info;
    printer.part.said(HerdEvent::LinesDropped { worker, lines })
}

/// How it is told that `lost` events are missing.
pub(super) fn lost_events(lost: u64) -> HerdEvent {
    let noun = if lost == 1 { "message" } else { "messages" };
    HerdEvent::Warning {
        text: format!("{lost} {noun} about the herd were lost: they could not be written"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::WorkerInfo;
    use crate::part::Part;

    const WEB: Process = Process {
        part: Part::Workers,
        info: WorkerInfo {
            slot: 0,
            id: 1,
            pid: 100,
        },
    };
    const OTHER: Process = Process {
        part: Part::Workers,
        info: WorkerInfo {
            slot: 1,
            id: 2,
            pid: 200,
        },
    };
    /// It has the number of a worker, and an account of its own.
    const GATEWAY: Process = Process {
        part: Part::Gateway,
        info: WEB.info,
    };

    fn line(printer: Process, bytes: &[u8]) -> Line {
        Line {
            printer,
            stream: Stream::Stdout,
            bytes: bytes.into(),
            ending: Ending::Whole,
        }
    }

    fn print(queue: &Queue, printer: Process, bytes: &[u8]) {
        queue.print(
            Stamp {
                wall_ms: 0,
                mono_us: 0,
            },
            line(printer, bytes),
        );
    }

    fn everything(queue: &Queue) -> Vec<String> {
        std::iter::from_fn(|| queue.try_next())
            .map(|item| match item {
                Item::Event(_, HerdEvent::LinesDropped { worker, lines }) => {
                    format!("lost {}:{lines}", worker.id)
                }
                Item::Event(_, HerdEvent::Gateway(event)) => format!("gateway {event:?}"),
                Item::Event(_, event) => format!("{event:?}"),
                Item::Verdict(_, ruled) => format!("{:?}", ruled.event),
                Item::Line(_, line) => {
                    format!(
                        "{}:{}",
                        line.printer.info.id,
                        String::from_utf8_lossy(&line.bytes)
                    )
                }
            })
            .collect()
    }

    #[test]
    fn items_come_out_in_the_order_they_went_in() {
        let queue = Queue::default();
        print(&queue, WEB, b"a");
        queue.tell(HerdEvent::Released { slot: 3 });
        print(&queue, OTHER, b"b");
        assert_eq!(everything(&queue), ["1:a", "Released { slot: 3 }", "2:b"]);
        assert_eq!(queue.line_bytes(), 0);
        assert!(queue.lock().accounts.is_empty());
    }

    #[test]
    fn r43_a_full_account_drops_and_counts_and_leaves_the_others_alone() {
        let queue = Queue::default();
        let big = vec![b'x'; PRINTER_LIMIT / 4 - LINE_OVERHEAD];
        for _ in 0..10 {
            print(&queue, WEB, &big);
        }
        print(&queue, WEB, b"");
        print(&queue, OTHER, b"b");
        queue.tell(HerdEvent::Released { slot: 3 });
        assert_eq!(queue.line_bytes(), PRINTER_LIMIT + LINE_OVERHEAD + 1);

        let told = everything(&queue);
        let big = format!("1:{}", String::from_utf8(big).unwrap());
        let mut expected = vec![big; 4];
        expected.extend(["2:b", "Released { slot: 3 }", "lost 1:7"].map(str::to_owned));
        assert_eq!(told, expected);
    }

    #[test]
    fn r43_a_gateway_has_an_account_of_its_own_whatever_its_number() {
        let queue = Queue::default();
        let big = vec![b'x'; PRINTER_LIMIT - LINE_OVERHEAD];
        print(&queue, WEB, &big);
        print(&queue, GATEWAY, &big);
        print(&queue, GATEWAY, b"one too many");
        assert_eq!(queue.line_bytes(), 2 * PRINTER_LIMIT);
        let told = everything(&queue);
        assert_eq!(told.len(), 3);
        assert!(told[2].starts_with("gateway LinesDropped"), "{}", told[2]);
    }

    #[test]
    fn r43_the_loss_stands_before_the_next_line_that_is_taken() {
        let queue = Queue::default();
        let quarter = vec![b'x'; PRINTER_LIMIT / 4 - LINE_OVERHEAD];
        for _ in 0..6 {
            print(&queue, WEB, &quarter);
        }
        assert!(queue.try_next().is_some());
        print(&queue, WEB, b"dropped: more than half is still full");
        assert!(queue.try_next().is_some());
        print(&queue, WEB, b"dropped: it would be more than half again");
        assert!(queue.try_next().is_some());
        print(&queue, WEB, b"fits");
        let told = everything(&queue);
        assert_eq!(told[1..], ["lost 1:4", "1:fits"]);
    }

    #[test]
    fn r43_empty_lines_cost_memory_too() {
        let queue = Queue::default();
        for _ in 0..2 * PRINTER_LIMIT / LINE_OVERHEAD {
            print(&queue, WEB, b"");
        }
        assert!(queue.line_bytes() <= PRINTER_LIMIT);
        let told = everything(&queue);
        let lost = 2 * PRINTER_LIMIT / LINE_OVERHEAD - (told.len() - 1);
        assert_eq!(told.last().unwrap(), &format!("lost 1:{lost}"));
    }

    #[test]
    fn events_are_kept_up_to_their_limit_and_their_loss_is_told() {
        let queue = Queue::default();
        for _ in 0..EVENT_LIMIT + 2 {
            queue.tell(HerdEvent::Released { slot: 3 });
        }
        assert_eq!(queue.lock().items.len(), EVENT_LIMIT);
        let told = everything(&queue);
        assert_eq!(told.len(), EVENT_LIMIT + 1);
        assert!(told[EVENT_LIMIT].contains("2 messages about the herd were lost"));
        assert!(
            queue.lock().items.capacity() <= ROOM_KEPT,
            "memory is given back"
        );

        for _ in 0..=EVENT_LIMIT {
            queue.tell(HerdEvent::Released { slot: 3 });
        }
        assert!(queue.try_next().is_some());
        queue.tell(HerdEvent::Released { slot: 4 });
        let told = everything(&queue);
        assert!(
            told[EVENT_LIMIT - 1].contains("1 message about"),
            "the loss stands in its place"
        );
        assert_eq!(told[EVENT_LIMIT], "Released { slot: 4 }");
    }

    #[test]
    fn single_jobs_leave_room_for_what_matters_more() {
        let queue = Queue::default();
        for job in 0..EVENT_LIMIT as u64 {
            let worker = WEB.info;
            queue.tell(HerdEvent::JobDispatched { job, worker });
        }
        assert_eq!(queue.lock().items.len(), JOB_LIMIT);
        queue.tell(HerdEvent::Released { slot: 3 });
        let told = everything(&queue);
        assert!(told[JOB_LIMIT].contains("32768 messages about the herd were lost"));
        assert_eq!(told[JOB_LIMIT + 1], "Released { slot: 3 }");
    }

    #[test]
    fn what_programs_say_leaves_room_for_what_matters_more() {
        let queue = Queue::default();
        for _ in 0..=MESSAGE_LIMIT {
            queue.tell(HerdEvent::Message {
                worker: WEB.info,
                text: String::new(),
            });
        }
        queue.tell(HerdEvent::Released { slot: 3 });
        let told = everything(&queue);
        assert!(told[MESSAGE_LIMIT].contains("1 message about the herd were lost"));
        assert_eq!(told[MESSAGE_LIMIT + 1], "Released { slot: 3 }");
    }

    #[test]
    fn a_closed_queue_gives_out_what_it_has_and_takes_nothing() {
        let queue = Queue::default();
        print(&queue, WEB, b"a");
        queue.close();
        print(&queue, WEB, b"b");
        queue.tell(HerdEvent::Released { slot: 3 });
        assert!(matches!(queue.next(), Some(Item::Line(..))));
        assert_eq!(queue.next(), None);
    }
}
