//! A desk with both ends in a test's hand.
#![allow(dead_code, reason = "each test file uses its part of it")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use herder_api::App;
use herder_logs::{Desk, Keep, News, Printer, Pumped, Settings, Stream};
use herder_sys::fd::{Blocking, duplicate, set_blocking};
use herder_sys::pipe::pipe;

/// Far more than anything here takes.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// A directory of this test's own.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn new() -> Directory {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("herder-logs-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("a directory");
        Directory(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        String::from_utf8(fs::read(self.path(name)).expect(name)).expect("UTF-8")
    }

    /// All names, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).expect("it is there");
        let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
        let mut names: Vec<_> = entries
            .map(|entry| name(entry).into_string().expect("UTF-8"))
            .collect();
        names.sort();
        names
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What a failed test leaves is for who looks into it.
        if std::thread::panicking() {
            return;
        }
        // The thread that compresses may still add a file.
        let begin = Instant::now();
        while let Err(error) = fs::remove_dir_all(&self.0) {
            assert!(begin.elapsed() < LONG, "{error}");
        }
    }
}

/// What an app named `web` says, with these settings under `logs`.
pub(crate) fn settings(directory: &Path, logs: &str) -> Settings {
    let text = format!(r#"{{"name":"web","logs":{{{logs}}}}}"#);
    let app: App = serde_json::from_str(&text).expect("an app");
    Settings::of(&app, directory).expect("settings")
}

/// One stream of a process.
pub(crate) struct Voice {
    process: u64,
    stream: Stream,
    from: OwnedFd,
    to: Option<File>,
}

pub(crate) struct Bench {
    pub(crate) desk: Desk,
    pub(crate) news: Arc<Mutex<Vec<News>>>,
}

impl Bench {
    pub(crate) fn new(settings: &Settings) -> Bench {
        let news: Arc<Mutex<Vec<News>>> = Arc::default();
        let told = Arc::clone(&news);
        let tell = move |it| told.lock().expect("no panic").push(it);
        let desk = Desk::new(settings.clone(), Arc::new(tell)).expect("a desk");
        Bench { desk, news }
    }

    /// Attaches a worker; gives its stdout and stderr.
    pub(crate) fn worker(&mut self, process: u64, slot: u16) -> (Voice, Voice) {
        self.desk.attach(Printer {
            process,
            part: None,
            slot,
            id: process,
        });
        (voice(process, Stream::Out), voice(process, Stream::Error))
    }

    /// Takes all that there is.
    pub(crate) fn pump(&mut self, voice: &Voice) -> usize {
        let (mut taken, begin) = (0, Instant::now());
        loop {
            match self
                .desk
                .pump(voice.process, voice.stream, voice.from.as_fd())
            {
                Pumped::Moved(more) => taken += more,
                Pumped::Waits => {
                    assert!(begin.elapsed() < LONG);
                    std::thread::sleep(Duration::from_millis(1));
                }
                Pumped::Empty | Pumped::Ended => return taken,
            }
        }
    }

    /// Takes from each in turn, until there is nothing, or nobody may go on.
    pub(crate) fn take(&mut self, voices: &[Voice]) {
        let mut moved = true;
        while std::mem::take(&mut moved) {
            for voice in voices {
                moved |= matches!(self.turn(voice), Pumped::Moved(_));
            }
        }
    }

    /// One turn.
    pub(crate) fn turn(&mut self, voice: &Voice) -> Pumped {
        self.desk
            .pump(voice.process, voice.stream, voice.from.as_fd())
    }

    /// Prints, and takes it, in pieces that fit into a pipe.
    pub(crate) fn say(&mut self, voice: &mut Voice, text: &[u8]) {
        for piece in text.chunks(60_000) {
            voice.write(piece);
            assert_eq!(self.pump(voice), piece.len());
        }
    }

    pub(crate) fn news(&self) -> Vec<News> {
        std::mem::take(&mut self.news.lock().expect("no panic"))
    }
}

fn voice(process: u64, stream: Stream) -> Voice {
    let (from, to) = pipe().expect("a pipe");
    set_blocking(from.as_fd(), Blocking::No).expect("a pipe");
    Voice {
        process,
        stream,
        from,
        to: Some(to.into()),
    }
}

impl Voice {
    pub(crate) fn write(&mut self, text: &[u8]) {
        let to = self.to.as_mut().expect("it speaks still");
        to.write_all(text).expect("there is room");
    }

    pub(crate) fn end(&mut self) {
        self.to = None;
    }

    /// Lets somebody else speak.
    pub(crate) fn take(&mut self) -> File {
        self.to.take().expect("it speaks still")
    }
}

/// Who holds what is on its way into files. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Store(Arc<Mutex<Stored>>);

#[derive(Default)]
struct Stored {
    deaf: bool,
    pipes: BTreeMap<(u64, String), OwnedFd>,
    asked: usize,
    ever: usize,
}

impl Store {
    /// One that takes nothing.
    pub(crate) fn deaf() -> Store {
        let store = Store::default();
        store.0.lock().expect("no panic").deaf = true;
        store
    }

    /// How much it holds.
    pub(crate) fn held(&self) -> usize {
        self.0.lock().expect("no panic").pipes.len()
    }

    /// How often it was asked to hold something.
    pub(crate) fn asked(&self) -> usize {
        self.0.lock().expect("no panic").asked
    }

    /// How often it has begun to.
    pub(crate) fn ever(&self) -> usize {
        self.0.lock().expect("no panic").ever
    }
}

impl Keep for Store {
    fn hold(&self, process: u64, stream: Stream, pipe: BorrowedFd<'_>) -> io::Result<()> {
        let mut stored = self.0.lock().expect("no panic");
        stored.asked += 1;
        if stored.deaf {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        stored.ever += 1;
        let key = (process, format!("{stream:?}"));
        stored.pipes.insert(key, duplicate(pipe)?);
        Ok(())
    }

    fn let_go(&self, process: u64, stream: Stream) {
        let key = (process, format!("{stream:?}"));
        self.0.lock().expect("no panic").pipes.remove(&key);
    }
}

/// So many lines of 100 bytes, numbered.
pub(crate) fn lines(from: usize, count: usize) -> String {
    (from..from + count).map(|n| format!("{n:099}\n")).collect()
}
