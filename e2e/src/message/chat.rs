//! One connection, led by hand.

use crate::message::reply::Reply;
use crate::message::wire::{Door, Heard, Refusal, Wire};
use std::fmt;
use std::io;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Bytes, Message};

/// How long the server may take for anything, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// One client whose every step a test decides. Waits have a deadline of 20 s, unless they say another.
pub struct Chat {
    runtime: Runtime,
    wire: Wire,
}

impl fmt::Debug for Chat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chat")
    }
}

impl Chat {
    /// Connects.
    ///
    /// # Panics
    /// When it is not let in.
    #[track_caller]
    pub fn open(door: &Door) -> Chat {
        match Chat::try_open(door) {
            Ok(chat) => chat,
            Err(refusal) => panic!("no connection to {door:?}: {refusal:?}"),
        }
    }

    /// Connects.
    ///
    /// # Errors
    /// Why it is not let in.
    pub fn try_open(door: &Door) -> Result<Chat, Refusal> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime needs some descriptors");
        let wire = runtime.block_on(async { timeout(PATIENCE, Wire::open(door)).await });
        let late = |_| Err(Refusal::Unreachable(format!("not within {PATIENCE:?}")));
        wire.unwrap_or_else(late).map(|wire| Chat { runtime, wire })
    }

    /// Sends a text message, or a line.
    ///
    /// # Panics
    /// When the connection is over, or the server takes nothing.
    #[track_caller]
    pub fn say(&mut self, text: &str) {
        self.must("send", |wire| Box::pin(wire.send_text(text)));
    }

    /// As [`Chat::say`], without minding whether it gets there.
    ///
    /// # Errors
    /// When the connection is over, or nothing was taken within the time.
    pub fn try_say(&mut self, text: &str, within: Duration) -> io::Result<()> {
        let sent = async { timeout(within, self.wire.send_text(text)).await };
        self.runtime
            .block_on(sent)
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Sends a binary message.
    ///
    /// # Panics
    /// As [`Chat::say`].
    #[track_caller]
    pub fn say_bytes(&mut self, bytes: Vec<u8>) {
        let message = Message::Binary(Bytes::from(bytes));
        self.must("send", |wire| Box::pin(wire.send_message(message)));
    }

    /// Sends a ping.
    ///
    /// # Panics
    /// As [`Chat::say`].
    #[track_caller]
    pub fn ping(&mut self) {
        let message = Message::Ping(Bytes::from_static(b"there?"));
        self.must("ping", |wire| Box::pin(wire.send_message(message)));
    }

    /// Sends these bytes as they are.
    ///
    /// # Panics
    /// As [`Chat::say`].
    #[track_caller]
    pub fn say_raw(&mut self, bytes: &[u8]) {
        self.must("send", |wire| Box::pin(wire.send_raw(bytes)));
    }

    /// Says that nothing more comes: Close 1000, or (lines) the end of the stream. Answers still come.
    ///
    /// # Panics
    /// As [`Chat::say`].
    #[track_caller]
    pub fn say_end(&mut self) {
        self.must("end", |wire| Box::pin(wire.send_end()));
    }

    /// What comes next.
    ///
    /// # Panics
    /// When nothing comes.
    #[track_caller]
    pub fn hear(&mut self) -> Heard {
        match self.try_hear(PATIENCE) {
            Some(heard) => heard,
            None => panic!("nothing came within {PATIENCE:?}"),
        }
    }

    /// What comes within this time, if anything does.
    pub fn try_hear(&mut self, within: Duration) -> Option<Heard> {
        let heard = async { timeout(within, self.wire.next()).await };
        self.runtime.block_on(heard).ok()
    }

    /// The text that comes next.
    ///
    /// # Panics
    /// When nothing comes, or something else.
    #[track_caller]
    pub fn hear_text(&mut self) -> String {
        let heard = self.hear();
        let Heard::Text(text) = heard else {
            panic!("not a text: {}", brief(&heard));
        };
        text
    }

    /// The reply of a `test-jobs` worker that comes next.
    ///
    /// # Panics
    /// When nothing comes, or something else.
    #[track_caller]
    pub fn hear_reply(&mut self) -> Reply {
        let text = self.hear_text();
        match Reply::parse(&text) {
            Some(reply) => reply,
            None => panic!("not a reply: {text}"),
        }
    }

    #[track_caller]
    fn must<'a, F>(&'a mut self, what: &str, act: F)
    where
        F: FnOnce(
            &'a mut Wire,
        )
            -> std::pin::Pin<Box<dyn std::future::Future<Output = io::Result<()>> + 'a>>,
    {
        let done = async { timeout(PATIENCE, act(&mut self.wire)).await };
        match self.runtime.block_on(done) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => panic!("cannot {what}: {error}"),
            Err(_) => panic!("cannot {what} within {PATIENCE:?}"),
        }
    }
}

/// A big message is no help in a failure's text.
fn brief(heard: &Heard) -> String {
    if let Heard::Bytes(bytes) = heard {
        return format!("{} bytes", bytes.len());
    }
    format!("{heard:?}")
}
