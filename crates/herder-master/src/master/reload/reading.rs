//! The definition is read. It may be a program that has to run for it: then that is done on a thread of its
//! own, for the main loop waits for nothing.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use herder_sys::epoll::Interest;
use herder_sys::wake::Wake;

use crate::config::{Config, Source};
use crate::master::token::Source as Token;
use crate::master::{Master, Stopping};

/// Where definitions are read, one at a time.
#[derive(Clone)]
pub(in crate::master) struct Lectern(Arc<Mutex<Box<dyn Source>>>);

/// A definition that is being read.
pub(in crate::master) struct Reading {
    thread: JoinHandle<Result<Config, String>>,
    /// Rings when it is done.
    bell: Arc<Wake>,
}

impl Lectern {
    pub(in crate::master) fn new(source: Box<dyn Source>) -> Lectern {
        Lectern(Arc::new(Mutex::new(source)))
    }

    /// What an earlier master has written down, as a configuration.
    pub(super) fn recall(&self, definition: &str) -> Result<Config, String> {
        let mut source = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        source.recall(definition)
    }

    fn read(&self) -> Result<Config, String> {
        let mut source = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        source.read()
    }

    fn is_prompt(&self) -> bool {
        let source = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        source.is_prompt()
    }

    /// Begins to read what stands there now.
    fn begin(&self) -> io::Result<Reading> {
        let (lectern, bell) = (self.clone(), Arc::new(Wake::new()?));
        let rung = Arc::clone(&bell);
        let thread = thread::Builder::new()
            .name("herder-reading".to_owned())
            .spawn(move || {
                let bell = Ring(rung);
                let read = lectern.read();
                drop(bell);
                read
            })?;
        Ok(Reading { thread, bell })
    }
}

/// Rings when it is dropped, whatever the reason.
struct Ring(Arc<Wake>);

impl Drop for Ring {
    fn drop(&mut self) {
        self.0.wake();
    }
}

impl Reading {
    fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    /// What was read. It does not wait: the bell has rung.
    fn finish(self) -> Result<Config, String> {
        let panicked = |_| Err("the definition cannot be read: herder failed".to_owned());
        self.thread.join().unwrap_or_else(panicked)
    }
}

impl Master {
    /// A reload begins by reading the definition, where that can change.
    pub(super) fn begin_reload(&mut self) {
        let Some(lectern) = self.editions.lectern() else {
            return self.begin_reload_of(None);
        };
        if lectern.is_prompt() {
            return self.begin_reload_if(lectern.read());
        }
        let begun = lectern.begin().and_then(|reading| {
            let token = Token::Definition.token();
            self.epoll.add(reading.bell(), token, Interest::READABLE)?;
            Ok(reading)
        });
        match begun {
            Ok(reading) => {
                self.reading = Some(reading);
                // If this master dies meanwhile, the next one reads it.
                self.reloads.set_reading(true);
                self.save();
            }
            Err(error) => {
                let generation = self.reloads.next();
                let text = format!("the definition cannot be read: {error}");
                self.refuse_reload(generation, text);
            }
        }
    }

    /// The definition has been read.
    pub(in crate::master) fn on_definition(&mut self) {
        let Some(reading) = self.reading.take() else {
            return;
        };
        // It is not watched any more once it is closed, which it is at the latest then.
        let _unwatched = self.epoll.remove(reading.bell());
        let read = reading.finish();
        self.reloads.set_reading(false);
        self.touch();
        if self.stopping != Stopping::No {
            return;
        }
        self.begin_reload_if(read);
    }

    fn begin_reload_if(&mut self, read: Result<Config, String>) {
        match read {
            Ok(config) => self.begin_reload_of(Some(config)),
            Err(reason) => {
                let generation = self.reloads.next();
                self.refuse_reload(generation, reason);
            }
        }
    }
}
