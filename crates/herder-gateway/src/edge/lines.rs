//! One message per line, as [`Session`](crate::edge::session::Session) speaks it.

use bytes::{Buf, Bytes, BytesMut};

use crate::edge::outbox::Outbox;
use crate::edge::session::{Goodbye, Heard, Language, LastWords, Reason};
use crate::hub::{Kind, Message};

/// One client's lines. A line ends with a line feed, before which one carriage return is left out.
#[derive(Debug)]
pub(super) struct Lines {
    max_message: usize,
    /// So much of what was read has no line feed in it.
    searched: usize,
}

impl Lines {
    /// Lines longer than so many bytes are refused.
    pub(super) fn new(max_message: usize) -> Lines {
        Lines {
            max_message,
            searched: 0,
        }
    }

    fn line(&self, line: &[u8]) -> Result<Message, Bytes> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.len() > self.max_message {
            let most = self.max_message;
            let error = format!("error: a line is longer than {most} bytes\n");
            return Err(error.into());
        }
        let kind = match std::str::from_utf8(line) {
            Ok(_) => Kind::Text,
            Err(_) => Kind::Bytes,
        };
        // A copy, so that a short line does not keep all that was read with it.
        let bytes = Bytes::copy_from_slice(line);
        Ok(Message { kind, bytes })
    }
}

impl Language for Lines {
    const GOODBYE: Goodbye = Goodbye::Unanswered;

    fn decode(&mut self, inbox: &mut BytesMut, _: &mut Outbox) -> Option<Heard> {
        let found = inbox[self.searched..]
            .iter()
            .position(|byte| *byte == b'\n');
        let Some(found) = found else {
            self.searched = inbox.len();
            // With room for the carriage return that may be its last byte.
            let too_long = self.searched > self.max_message + 1;
            let refused = too_long.then(|| self.line(inbox).err()).flatten();
            return refused.map(Heard::Bye);
        };
        let end = self.searched + found;
        let line = self.line(&inbox[..end]);
        inbox.advance(end + 1);
        self.searched = 0;
        Some(match line {
            Ok(message) => Heard::Message(message),
            Err(error) => Heard::Bye(error),
        })
    }

    fn end(&mut self, inbox: &mut BytesMut) -> Option<LastWords> {
        if inbox.is_empty() {
            let (message, bye) = (None, Bytes::new());
            return Some(LastWords { message, bye });
        }
        let (message, bye) = match self.line(inbox) {
            Ok(message) => (Some(message), Bytes::new()),
            Err(error) => (None, error),
        };
        Some(LastWords { message, bye })
    }

    fn encode(&self, message: Message, outbox: &mut Outbox) {
        outbox.push(b"", message.bytes, b"\n");
    }

    /// There are no words for it in this language.
    fn goodbye(&self, _: Reason) -> Bytes {
        Bytes::new()
    }

    fn ping(&self) -> Option<Bytes> {
        None
    }
}
