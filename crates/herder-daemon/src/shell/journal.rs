//! What happens: told to whoever listens, and, where it is the daemon's own, to `daemon.log`.

use std::fs::File;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use herder_api::control::DaemonEvent;
use rustix::fs::OFlags;
use tokio::sync::broadcast;

use crate::home::{self, Home};
use crate::settings::Manner;

/// The file of the daemon's own events.
pub(crate) const NAME: &str = "daemon.log";

/// How large it becomes before it is put away; one older file is kept.
const LARGE: u64 = 8 << 20;

/// How many events somebody may be behind.
const BEHIND: usize = 1024;

/// Tells what happens. Its clones are one.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    events: broadcast::Sender<DaemonEvent>,
    book: Arc<Mutex<Book>>,
}

#[derive(Debug)]
struct Book {
    home: Arc<Home>,
    file: Option<File>,
    length: u64,
    manner: Manner,
}

impl Journal {
    pub(crate) fn new(home: Arc<Home>, manner: Manner) -> Journal {
        let (events, _) = broadcast::channel(BEHIND);
        let mut book = Book {
            home,
            file: None,
            length: 0,
            manner,
        };
        book.reopen();
        let book = Arc::new(Mutex::new(book));
        Journal { events, book }
    }

    /// For those who listen.
    pub(crate) fn events(&self) -> broadcast::Sender<DaemonEvent> {
        self.events.clone()
    }

    /// Something that a herd has said, and written down itself.
    pub(crate) fn pass_on(&self, event: DaemonEvent) {
        // Nobody need listen.
        drop(self.events.send(event));
    }

    /// Something that the daemon says.
    pub(crate) fn note(&self, app: &str, event: &str, level: &str, message: String) {
        let event = DaemonEvent {
            time: format!("{:.3}", jiff::Timestamp::now()),
            app: app.to_owned(),
            event: event.to_owned(),
            message,
            level: level.to_owned(),
            fields: std::collections::BTreeMap::new(),
        };
        self.book().write(&event);
        self.pass_on(event);
    }

    /// From now on it is written in another home: this one was removed.
    pub(crate) fn move_to(&self, home: Home) {
        let mut book = self.book();
        book.home = Arc::new(home);
        book.reopen();
    }

    /// Opens the file again.
    pub(crate) fn reopen(&self) {
        self.book().reopen();
    }

    fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        // Nothing in it is half done when somebody panics.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    /// A disk that is full, or a file that is not ours, keeps no app from running.
    fn write(&mut self, event: &DaemonEvent) {
        if self.length > LARGE {
            let old = format!("{NAME}.1");
            let root = self.home.root();
            let _left = rustix::fs::renameat(root, NAME, root, old);
            self.reopen();
        }
        let Ok(mut line) = serde_json::to_vec(event) else {
            return;
        };
        line.push(b'\n');
        self.length += line.len() as u64;
        if let Some(file) = &mut self.file {
            drop(file.write_all(&line));
        }
        if self.manner == Manner::Foreground {
            let app = if event.app.is_empty() {
                "herder"
            } else {
                &event.app
            };
            let text = event.message.escape_debug();
            drop(writeln!(io::stderr(), "{} {app}: {text}", event.time));
        }
    }

    fn reopen(&mut self) {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND;
        self.file = home::open_file(self.home.root(), NAME, flags)
            .map(File::from)
            .ok();
        let length = self.file.as_ref().and_then(|file| file.metadata().ok());
        self.length = length.map_or(0, |found| found.len());
    }
}
