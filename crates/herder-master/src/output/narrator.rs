//! The thread that tells: the observer, stdout and stderr.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use herder_sys::failpoint;

use super::queue::{Item, Line, Queue, Ruled, Stream};
use super::record::VerdictFile;
use super::sink::{Entry, Mend, Sink};
use super::standard::Targets;
use super::wall::Stamp;
use super::{json, text};
use crate::config::{Format, Observer};
use crate::estate::Marks;
use crate::event::HerdEvent;

/// Takes items from the queue in order and tells them. It may be slow, and stuck: nobody waits.
pub(super) struct Narrator {
    app: String,
    format: Format,
    observer: Option<Observer>,
    verdicts: Option<VerdictFile>,
    marks: Option<Marks>,
    queue: Arc<Queue>,
    stdout: Sink,
    stderr: Sink,
    events: Option<Sink>,
    /// Events that arose here, while telling others. They come before the next item.
    own: VecDeque<HerdEvent>,
}

impl Narrator {
    pub(super) fn new(
        app: String,
        format: Format,
        observer: Option<Observer>,
        queue: Arc<Queue>,
        targets: Targets,
    ) -> Narrator {
        let mend = match format {
            Format::Json => Mend::Newline,
            Format::Quiet | Format::Text => Mend::Words,
        };
        let (stdout, stderr) = (
            Sink::new(targets.stdout, mend),
            Sink::new(targets.stderr, mend),
        );
        Narrator {
            app,
            format,
            observer,
            verdicts: targets.verdicts,
            marks: targets.marks,
            queue,
            stdout,
            stderr,
            events: targets.events.map(|file| Sink::new(file, Mend::Newline)),
            own: VecDeque::new(),
        }
    }

    /// The body of the thread: tells until the queue is closed and empty.
    pub(super) fn run(mut self) {
        while let Some(item) = self.next() {
            match item {
                Item::Event(stamp, event) => self.item(stamp, &event),
                Item::Line(stamp, line) => self.line(stamp, &line),
                Item::Verdict(stamp, ruled) => self.verdict(stamp, &ruled),
            }
            self.tell_own();
        }
        // Nothing more will come that could show whether writing works again: what was lost is
        // told now, to whoever still can hear it.
        let losses = [self.stdout.losses(), self.stderr.losses()];
        self.own.extend(losses.into_iter().flatten());
        self.own
            .extend(self.events.iter_mut().flat_map(Sink::losses));
        self.tell_own();
        self.flush();
    }

    /// The next item. Everything is written before it is waited for.
    fn next(&mut self) -> Option<Item> {
        if let Some(item) = self.queue.try_next() {
            return Some(item);
        }
        self.flush();
        while !self.own.is_empty() {
            self.tell_own();
            self.flush();
        }
        self.queue.next()
    }

    fn tell_own(&mut self) {
        while let Some(event) = self.own.pop_front() {
            let stamp = Stamp::now();
            self.queue.overhear(|ear| ear.hear(stamp, &event));
            self.event(stamp, &event);
        }
    }

    /// Tells an event of the herd's. With how connections are dispatched the announcement of a beginning
    /// ends: when that is written it is marked. Of a master that dies before, the next one announces.
    fn item(&mut self, stamp: Stamp, event: &HerdEvent) {
        self.event(stamp, event);
        if let (HerdEvent::DispatchChosen { .. }, Some(marks)) = (event, self.marks.clone()) {
            self.flush();
            marks.announced();
        }
    }

    fn event(&mut self, stamp: Stamp, event: &HerdEvent) {
        self.observe(event);
        self.file(stamp, event);
        self.switch_to(Stream::Stderr);
        let Narrator { app, stderr, .. } = self;
        match self.format {
            Format::Json => {
                stderr.push(Entry::Event, |into| json::event(app, stamp, event, into));
            }
            Format::Quiet => return,
            // Too many for people; who wants each has it by the observer, or as JSON.
            Format::Text
                if matches!(
                    event,
                    HerdEvent::JobDispatched { .. } | HerdEvent::Message { .. }
                ) =>
            {
                return;
            }
            Format::Text => {
                stderr.push(Entry::Event, |into| text::event(app, stamp, event, into));
            }
        }
        self.write_if_full();
    }

    /// Tells a verdict. When it is written wherever it is to be, that is marked: of one that is not, the next
    /// master tells again. (One that dies between the two leads to a second line, and not to none.)
    fn verdict(&mut self, stamp: Stamp, ruled: &Ruled) {
        failpoint::hit("output.verdict");
        if let Some(file) = &self.verdicts {
            self.own.extend(file.note(&ruled.verdict));
        }
        self.event(stamp, &ruled.event);
        self.flush();
        if let Some(marks) = &self.marks {
            marks.told(ruled.number);
        }
    }

    /// Writes the event to the file of events. Jobs and messages are too many for a file that is to tell
    /// for months what happened.
    fn file(&mut self, stamp: Stamp, event: &HerdEvent) {
        if matches!(
            event,
            HerdEvent::JobDispatched { .. } | HerdEvent::Message { .. }
        ) {
            return;
        }
        let app = &self.app;
        if let Some(file) = &mut self.events {
            file.push(Entry::Event, |into| json::event(app, stamp, event, into));
            if file.is_full() {
                self.own.extend(file.flush());
            }
        }
    }

    fn line(&mut self, stamp: Stamp, line: &Line) {
        self.switch_to(line.stream);
        let Narrator {
            app,
            format,
            stdout,
            stderr,
            ..
        } = self;
        let sink = match line.stream {
            Stream::Stderr => stderr,
            Stream::Stdout => stdout,
        };
        let terminal = sink.terminal();
        sink.push(Entry::LineOf(line.printer), |into| match format {
            Format::Json => json::line(app, stamp, line, into),
            Format::Quiet => text::bare_line(line, into),
            Format::Text => text::line(app, line, terminal, into),
        });
        self.write_if_full();
    }

    /// An observer that panics is told so, for everybody to read, and never called again.
    fn observe(&mut self, event: &HerdEvent) {
        if self.observer.is_none() {
            return;
        }
        // It may print too: what came before is to stand before.
        self.flush();
        let Some(observer) = &mut self.observer else {
            return;
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| observer(event))) {
            self.observer = None;
            let text = format!(
                "the event hook panicked and is not called again: {}",
                said(&*panic)
            );
            self.own.push_back(HerdEvent::Warning { text });
        }
    }

    /// Before one place is written to, the other is up to date: on a terminal they are the same.
    fn switch_to(&mut self, stream: Stream) {
        let other = match stream {
            Stream::Stderr => &mut self.stdout,
            Stream::Stdout => &mut self.stderr,
        };
        self.own.extend(other.flush());
    }

    fn write_if_full(&mut self) {
        if self.stdout.is_full() || self.stderr.is_full() {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.own.extend(self.stdout.flush());
        self.own.extend(self.stderr.flush());
        self.own
            .extend(self.events.iter_mut().flat_map(Sink::flush));
    }
}

/// The message of a panic.
fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
