//! One client from its first message to the end of its connection, whatever it speaks.

use std::future::pending;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};

use crate::edge::outbox::Outbox;
use crate::edge::settings::Settings;
use crate::edge::wire::{Reading, Turn, Wire};
use crate::hub::{CloseReason, Message, Outgoing, Seat};

/// What a client speaks.
pub(super) trait Language {
    /// Whether a client answers our goodbye with its own.
    const GOODBYE: Goodbye;

    /// Takes the next thing from what was read, if it is there as a whole; small things are
    /// answered at once. Not called any more after [`Heard::Bye`].
    fn decode(&mut self, inbox: &mut BytesMut, outbox: &mut Outbox) -> Option<Heard>;

    /// The client sends nothing more. `None`: it is gone.
    fn end(&mut self, inbox: &mut BytesMut) -> Option<LastWords>;

    /// Writes a message.
    fn encode(&self, message: Message, outbox: &mut Outbox);

    /// What to say before we end the connection.
    fn goodbye(&self, reason: Reason) -> Bytes;

    /// What a client answers that is there; `None` when there is no such thing in this language.
    fn ping(&self) -> Option<Bytes>;
}

/// See [`Language::GOODBYE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goodbye {
    Answered,
    Unanswered,
}

/// What a client said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// A job.
    Message(Message),
    /// Something between it and the edge.
    Noise,
    /// Nothing more is read from it: it said goodbye, or something that is against the rules. This
    /// is sent after the answers that it is owed.
    Bye(Bytes),
}

/// How a client's stream came to its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LastWords {
    /// One more job.
    pub(super) message: Option<Message>,
    /// What it is told after the answers that it is owed.
    pub(super) bye: Bytes,
}

/// Why we end a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Hub(CloseReason),
    TooSlow,
}

/// One client.
pub(super) struct Session<S, L> {
    wire: Wire<S>,
    language: L,
    seat: Seat,
    settings: Rc<Settings>,
}

/// How a conversation ended.
enum End {
    Bye(Bytes),
    Close(Reason),
    Gone,
}

impl<S: AsyncRead + AsyncWrite + Unpin, L: Language> Session<S, L> {
    pub(super) fn new(wire: Wire<S>, language: L, seat: Seat, settings: Rc<Settings>) -> Self {
        Session {
            wire,
            language,
            seat,
            settings,
        }
    }

    /// Serves the client until its connection has ended.
    pub(super) async fn run(mut self) {
        // Whatever goes wrong at the end means that the client is gone: nobody is left to be told.
        // The ends are boxed, so that a client that stays holds no room for them.
        let _gone = match self.converse().await {
            End::Bye(bye) => Box::pin(self.part(bye)).await,
            End::Close(reason) => Box::pin(self.close(reason)).await,
            End::Gone => Ok(()),
        };
    }

    async fn converse(&mut self) -> End {
        let mut pulse = self.settings.keep_alive.map(Pulse::new);
        loop {
            if let Some(end) = self.collect().or_else(|| self.listen()) {
                return end;
            }
            let reading = self.reading();
            let room = self.seat.has_room();
            // The client before the clock, so that no answer is overlooked that was in time.
            tokio::select! {
                biased;
                turn = self.wire.turn(reading) => match turn {
                    Ok(Turn::End) => return self.ended(),
                    Ok(Turn::Read | Turn::Wrote) => {}
                    Err(_) => return End::Gone,
                },
                outgoing = self.seat.next() => if let Some(end) = self.take(outgoing) {
                    return end;
                },
                () = self.seat.room(), if !room => {}
                () = Pulse::beat(pulse.as_mut()) => if let Some(end) = self.beat(&mut pulse) {
                    return end;
                },
            }
        }
    }

    /// Takes everything that there is for the client.
    fn collect(&mut self) -> Option<End> {
        while let Some(outgoing) = self.seat.try_next() {
            if let Some(end) = self.take(outgoing) {
                return Some(end);
            }
        }
        None
    }

    fn take(&mut self, outgoing: Outgoing) -> Option<End> {
        match outgoing {
            Outgoing::Message(message) => {
                self.language.encode(message, &mut self.wire.outbox);
                let most = TOO_SLOW + self.settings.max_message;
                (self.wire.outbox.len() > most).then_some(End::Close(Reason::TooSlow))
            }
            Outgoing::Close(reason) => Some(End::Close(Reason::Hub(reason))),
        }
    }

    /// Gives what was read to the hub, as far as it may.
    fn listen(&mut self) -> Option<End> {
        while self.reading() == Reading::On {
            let wire = &mut self.wire;
            match self.language.decode(&mut wire.inbox, &mut wire.outbox)? {
                Heard::Message(message) => self.seat.submit(message),
                Heard::Noise => {}
                Heard::Bye(bye) => return Some(End::Bye(bye)),
            }
        }
        None
    }

    fn reading(&self) -> Reading {
        if self.seat.has_room() && self.wire.outbox.len() <= SLOW {
            Reading::On
        } else {
            Reading::Off
        }
    }

    fn ended(&mut self) -> End {
        let Some(last) = self.language.end(&mut self.wire.inbox) else {
            return End::Gone;
        };
        if let Some(message) = last.message {
            self.seat.submit(message);
        }
        End::Bye(last.bye)
    }

    fn beat(&mut self, pulse: &mut Option<Pulse>) -> Option<End> {
        let look = pulse.as_mut()?.look(self.wire.heard(), self.silence());
        match look {
            Look::Well => None,
            Look::Quiet => {
                if let Some(ping) = self.language.ping() {
                    self.wire.outbox.push(&ping, Bytes::new(), b"");
                }
                None
            }
            Look::Dead => Some(End::Gone),
        }
    }

    /// What it means that nothing is heard from the client. While much waits for it, to take some of
    /// that is a sign of life.
    fn silence(&self) -> Silence {
        let is_due = self.wire.outbox.len() > SLOW;
        let is_asked = self.language.ping().is_some() && self.reading() == Reading::On;
        if is_due || is_asked {
            Silence::Suspicious
        } else {
            Silence::Natural
        }
    }

    /// The client comes to its end: it gets the answers that it is owed, and then goodbye.
    async fn part(mut self, bye: Bytes) -> io::Result<()> {
        let until = Instant::now() + self.settings.close_timeout;
        // Whoever is late is not waited for: the client has been told when it ends.
        if let Ok(answered) = timeout_at(until, self.answer()).await {
            answered?;
        }
        self.wire.outbox.push(&bye, Bytes::new(), b"");
        let mut wire = self.leave();
        wire.flush(Instant::now() + PARTING).await?;
        wire.hang_up().await;
        Ok(())
    }

    async fn answer(&mut self) -> io::Result<()> {
        loop {
            if self.collect().is_some() || self.seat.is_idle() {
                return Ok(());
            }
            tokio::select! {
                turn = self.wire.turn(Reading::Off) => {
                    turn?;
                }
                outgoing = self.seat.next() => if self.take(outgoing).is_some() {
                    return Ok(());
                },
                () = self.seat.idle() => {}
            }
        }
    }

    /// We come to the end.
    async fn close(self, reason: Reason) -> io::Result<()> {
        let (until, mut language) = (Instant::now() + self.settings.close_timeout, self.language);
        let mut wire = self.wire;
        // What the hub would have for it until it has gone would only pile up.
        drop(self.seat);
        if reason == Reason::TooSlow {
            wire.outbox.discard();
        }
        let goodbye = language.goodbye(reason);
        wire.outbox.push(&goodbye, Bytes::new(), b"");
        wire.flush(until).await?;
        if L::GOODBYE == Goodbye::Answered {
            let until = Instant::now() + PARTING;
            if let Ok(heard) = timeout_at(until, hear_goodbye(&mut wire, &mut language)).await {
                heard?;
            }
        }
        wire.hang_up().await;
        Ok(())
    }

    /// Gives up the seat: what the connection still does is of no interest to the hub.
    fn leave(self) -> Wire<S> {
        self.wire
    }
}

/// Waits for the client's goodbye; what else it still says is no job.
async fn hear_goodbye<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    language: &mut impl Language,
) -> io::Result<()> {
    let mut unanswered = Outbox::default();
    loop {
        let decoded = language.decode(&mut wire.inbox, &mut unanswered);
        match decoded {
            Some(Heard::Bye(_)) => return Ok(()),
            Some(Heard::Message(_) | Heard::Noise) => continue,
            None => unanswered = Outbox::default(),
        }
        if wire.turn(Reading::On).await? == Turn::End {
            return Ok(());
        }
    }
}

/// When to ask a client whether it is there.
struct Pulse {
    every: Duration,
    sleep: Pin<Box<Sleep>>,
    /// When, if nothing was heard since.
    asked: Option<Instant>,
}

/// See [`Session::silence`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum Silence {
    Natural,
    Suspicious,
}

enum Look {
    Dead,
    Quiet,
    Well,
}

impl Pulse {
    fn new(every: Duration) -> Pulse {
        Pulse {
            every,
            sleep: Box::pin(sleep_until(Instant::now() + every)),
            asked: None,
        }
    }

    async fn beat(pulse: Option<&mut Pulse>) {
        match pulse {
            Some(pulse) => pulse.sleep.as_mut().await,
            None => pending().await,
        }
    }

    /// The clock is wound up once per interval, not with every message.
    fn look(&mut self, heard: Instant, silence: Silence) -> Look {
        let now = Instant::now();
        let heard = match silence {
            Silence::Suspicious => heard,
            Silence::Natural => now,
        };
        let (look, asked, next) = match self.asked {
            Some(asked) if heard < asked => (Look::Dead, None, now),
            _ if heard + self.every > now => (Look::Well, None, heard + self.every),
            _ => (Look::Quiet, Some(now), now + self.every),
        };
        self.asked = asked;
        self.sleep.as_mut().reset(next);
        look
    }
}

/// With so much unwritten, nothing more is read from a client.
const SLOW: usize = 1024 * 1024;

/// With so much unwritten, and one message more, a client is ended.
const TOO_SLOW: usize = 16 * 1024 * 1024;

/// How long a client has for its part of the goodbye.
const PARTING: Duration = Duration::from_secs(2);
