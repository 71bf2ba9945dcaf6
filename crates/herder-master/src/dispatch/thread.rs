//! One thread of the dispatch, and the queue of what all of them tell.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use herder_core::dispatch::Engine;
use herder_sys::wake::Wake;

use super::{Command, Counters, News, Remains};

/// What a thread does from its start to its end.
pub(super) type Body = Box<dyn FnOnce() -> io::Result<Ended> + Send>;

/// How a dispatch thread ended.
pub(super) enum Ended {
    Stopped,
    Surrendered(Box<Remains>),
}

/// The main thread's hold on one dispatch thread.
pub(super) struct Thread {
    commands: Sender<Command>,
    wake: Arc<Wake>,
    handle: Option<JoinHandle<Option<Remains>>>,
}

/// A dispatch thread's end of the two queues.
pub(super) struct Desk {
    pub(super) commands: Receiver<Command>,
    pub(super) wake: Arc<Wake>,
    news: Mouth,
    pub(super) counters: Counters,
}

/// Where one thread tells what it has to tell.
#[derive(Clone)]
pub(super) struct Mouth {
    pub(super) engine: Engine,
    pub(super) news: Sender<(Engine, News)>,
    pub(super) wake: Arc<Wake>,
}

impl Thread {
    /// Starts it, as what this function makes of its desk.
    pub(super) fn start(
        mouth: Mouth,
        counters: Counters,
        body: impl FnOnce(Desk) -> io::Result<Body>,
    ) -> io::Result<Thread> {
        let (commands, queue) = channel();
        let wake = Arc::new(Wake::new()?);
        let witness = mouth.clone();
        let body = body(Desk {
            commands: queue,
            wake: Arc::clone(&wake),
            news: mouth,
            counters,
        })?;
        let handle = std::thread::Builder::new()
            .name("herder-dispatch".into())
            .spawn(move || watch(&witness, body))?;
        Ok(Thread {
            commands,
            wake,
            handle: Some(handle),
        })
    }

    /// Never blocks.
    pub(super) fn tell(&self, command: Command) {
        // A thread that has ended said so (`News::Ended`); nothing is left to tell it.
        if self.commands.send(command).is_ok() {
            self.wake();
        }
    }

    /// Something was done that it should look at.
    pub(super) fn wake(&self) {
        self.wake.wake();
    }

    /// Ends it, and gives back what it has.
    ///
    /// # Errors
    ///
    /// It has ended before.
    pub(super) fn surrender(&mut self) -> io::Result<Remains> {
        self.tell(Command::Surrender);
        let ended = self.handle.take().and_then(|thread| thread.join().ok());
        ended
            .flatten()
            .ok_or_else(|| io::Error::other("the dispatch thread has ended"))
    }

    /// Ends it.
    pub(super) fn stop(&mut self) {
        self.tell(Command::Stop);
        if let Some(thread) = self.handle.take() {
            // A panic there was already told on stderr, and the herd is ending anyway.
            let _ended = thread.join();
        }
    }
}

impl Desk {
    pub(super) fn tell(&self, news: News) {
        self.news.tell(news);
    }
}

impl Mouth {
    fn tell(&self, news: News) {
        // The main thread outlives this one; if it does not, nobody is left to hear.
        if self.news.send((self.engine, news)).is_ok() {
            self.wake.wake();
        }
    }
}

/// Tells of a dispatch thread's end that nobody asked for: without the thread the herd serves nobody.
fn watch(witness: &Mouth, body: impl FnOnce() -> io::Result<Ended>) -> Option<Remains> {
    let text = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(Ended::Stopped)) => return None,
        Ok(Ok(Ended::Surrendered(remains))) => return Some(*remains),
        Ok(Err(error)) => format!("the dispatch thread failed: {error}"),
        Err(_) => "the dispatch thread panicked".to_owned(),
    };
    witness.tell(News::Ended(text));
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news_of(body: impl FnOnce() -> io::Result<Ended>) -> Option<News> {
        let (sender, news) = channel();
        let witness = Mouth {
            engine: Engine::Main,
            news: sender,
            wake: Arc::new(Wake::new().expect("an eventfd")),
        };
        assert!(watch(&witness, body).is_none());
        news.try_recv().ok().map(|(_, news)| news)
    }

    #[test]
    fn an_end_that_nobody_asked_for_is_told() {
        assert!(news_of(|| Ok(Ended::Stopped)).is_none());
        assert!(matches!(
            news_of(|| Err(io::ErrorKind::OutOfMemory.into())),
            Some(News::Ended(_))
        ));
        let panic = || std::panic::resume_unwind(Box::new("without a word"));
        assert!(matches!(news_of(panic), Some(News::Ended(_))));
    }
}
