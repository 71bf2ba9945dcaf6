//! What a worker says, and what it is answered.

use std::num::NonZero;
use std::os::fd::AsFd;
use std::time::Duration;

use herder_core::{Incarnation, Tick};
use herder_wire::node::{Accepted, FromNode, Outcome, Query, Reply, SharedKind, ToNode, UserValue};

use super::bind::libc_errno;
use super::channel::{Goods, Heard, Parcel};
use super::exchange::{Answer, Refusal};
use super::peer::Course;
use super::switchboard::Switchboard;
use super::{NodeNews, Way, Word};
use crate::dispatch::News;

impl Switchboard {
    /// Does what one message of a worker's asks for.
    pub(super) fn heed(&mut self, life: Incarnation, heard: Heard, now: Tick) {
        match heard {
            Heard::Acknowledged => self.take_thanks(life),
            Heard::Lost(Some(seq)) => self.decide(life, seq, Accepted::No, now),
            Heard::Lost(None) => {}
            Heard::Message(message) => self.answer(life, message, now),
        }
    }

    fn answer(&mut self, life: Incarnation, message: FromNode, now: Tick) {
        match message {
            FromNode::Verdict { ack, accepted } => self.decide(life, ack, accepted, now),
            FromNode::Online => {
                let news = self
                    .peers
                    .get_mut(&life)
                    .and_then(|it| it.first(Word::Online));
                if let Some(news) = news {
                    self.note_change();
                    self.tell(news);
                    self.give_listeners(life, now);
                }
            }
            FromNode::Query { seq, query } => self.answer_query(life, seq, &query, now),
            FromNode::Listening { .. } => self.tell_first(life, Word::Listening),
            FromNode::Close { key } => self.close(life, &key, now),
            FromNode::ExitedAfterDisconnect { seq: ack } => {
                self.note_leaving(life, now);
                let seq = self.seq();
                self.say(life, &ToNode::AckExited { ack, seq }, None, now);
                self.tell_first(life, Word::Voluntary);
            }
            FromNode::SocketCountAsked { key } => {
                let (key, count) = (key.as_str(), 0);
                self.say(life, &ToNode::SocketCount { key, count }, None, now);
            }
            FromNode::SocketsClosedAsked { key } => {
                let key = key.as_str();
                self.say(life, &ToNode::SocketsClosed { key }, None, now);
            }
            FromNode::User(value) => self.take_message(life, value),
            FromNode::Acknowledged
            | FromNode::Handle { .. }
            | FromNode::Internal
            | FromNode::NotReceived => {}
        }
    }

    /// What programs say by habit is for the supervisor, the rest for whom it may concern.
    fn take_message(&mut self, life: Incarnation, value: UserValue) {
        if value.is_text("ready") {
            return self.tell_first(life, Word::Ready);
        }
        if value.act().is_some_and(|act| act == "suicide") {
            return self.tell_first(life, Word::Suicide);
        }
        let Some(peer) = self.peers.get_mut(&life) else {
            return;
        };
        let worker = peer.id;
        if let Some(mail) = peer.postbox.post(value) {
            let lost = peer.postbox.take_lost();
            peer.losses.add(Way::From, lost);
            self.tell(NodeNews::Mail(worker, mail));
        }
    }

    /// Gives a worker a message of another program.
    pub(super) fn relay(&mut self, life: Incarnation, message: &UserValue) {
        let Some(peer) = self.peers.get_mut(&life) else {
            return;
        };
        if peer.course == Course::Severed {
            return;
        }
        if peer.channel.relay(message) {
            peer.losses.add(Way::To, std::mem::take(&mut peer.unheard));
        } else {
            peer.unheard += 1;
        }
    }

    /// Tells what was lost of and to a worker, who is gone.
    pub(super) fn tell_losses(&mut self, life: Incarnation, now: Tick) {
        let Some(peer) = self.peers.get_mut(&life) else {
            return;
        };
        let worker = peer.id;
        let from = peer.postbox.take_lost() + peer.channel.take_skipped();
        peer.losses.add(Way::From, from);
        peer.losses.add(Way::To, std::mem::take(&mut peer.unheard));
        for (way, lost) in peer.losses.take(now) {
            self.tell(NodeNews::Lost(worker, way, lost));
        }
    }

    fn take_thanks(&mut self, life: Incarnation) {
        let Some(peer) = self.peers.get_mut(&life) else {
            return;
        };
        if peer.gifts > 0 {
            peer.gifts -= 1;
            self.note_change();
            self.tell_first(life, Word::HandleTaken);
        }
    }

    fn answer_query(&mut self, life: Incarnation, ack: u64, query: &Query, now: Tick) {
        let serves = |course: Course| course == Course::Serves;
        let is_serving = self.peers.get(&life).is_some_and(|it| serves(it.course));
        // Who leaves gets no answer and does without it.
        if !is_serving || self.last_call.is_some() {
            return;
        }
        if let Some(cure) = launcher_of(query) {
            self.tell_first(life, Word::Swallowed(cure.to_owned()));
        }
        if self.gives_listeners() && is_of_a_handle(query) {
            return self.give_again(life, ack, now);
        }
        let parked = Parked {
            life,
            ack,
            query: query.clone(),
            until: now.after(CLOSES_WITHIN),
        };
        self.ask_exchange(parked, now);
    }

    /// Asks again for what was only in the way of something that was closed a moment before.
    pub(super) fn ask_again(&mut self, now: Tick) {
        for parked in std::mem::take(&mut self.parked) {
            self.ask_exchange(parked, now);
        }
    }

    fn ask_exchange(&mut self, parked: Parked, now: Tick) {
        let (life, ack) = (parked.life, parked.ack);
        let answer = self.exchange.ask(life, &parked.query, &self.epoll);
        self.note_change();
        match answer {
            Answer::Refused(refusal)
                if refusal.errno == libc_errno::IN_USE
                    && self.exchange.passes_soon(&parked.query)
                    && parked.until > now =>
            {
                self.parked.push(parked);
            }
            Answer::Opened(key) => {
                if let Some(port) = self.exchange.ports.get(&key) {
                    let (address, file) = (port.place.to_string(), port.file.clone());
                    self.tell(NodeNews::Opened { address, file });
                }
                self.hand_out(life, ack, key, now);
            }
            Answer::Joined(key) => self.hand_out(life, ack, key, now),
            Answer::Refused(refusal) => self.refuse(life, ack, &refusal, now),
        }
    }

    /// Up to Node 18 a worker asks for the listener that it was sent: for each in turn, as it hears of
    /// them. (Node's own primary opens another one then, at a port of the kernel's choice.)
    fn give_again(&mut self, life: Incarnation, ack: u64, now: Tick) {
        let seq = self.seq();
        let Some(peer) = self.peers.get_mut(&life) else {
            return;
        };
        let place = peer.gifts_claimed;
        peer.gifts_claimed += 1;
        self.note_change();
        let listener = self.listeners.get(place);
        let copy = listener.and_then(|it| herder_sys::fd::duplicate(it.as_fd()).ok());
        let parcel = copy.map(|descriptor| Parcel {
            descriptor,
            of: Goods::Gift(place),
        });
        let outcome = match parcel {
            Some(_) => Outcome::Shared(SharedKind::Stream),
            None => Outcome::Refused { errno: INVALID },
        };
        let reply = Reply {
            ack,
            seq,
            // No number: it is none of the exchange's, and stays when the worker closes it.
            key: &format!("sent-{place}"),
            data: None,
            outcome,
        };
        self.say(life, &ToNode::Reply(reply), parcel, now);
    }

    /// The worker has the listener: it is told so before the first connection.
    fn hand_out(&mut self, life: Incarnation, ack: u64, key: u64, now: Tick) {
        let seq = self.seq();
        let Some(worker) = self.peers.get(&life).map(|peer| peer.id) else {
            return;
        };
        let socket = self.exchange.socket_for(worker, key, now);
        let Some(port) = self.exchange.ports.get(&key) else {
            return;
        };
        let (outcome, parcel) = match socket {
            None => {
                let address = port.address;
                (Outcome::Listening { address }, None)
            }
            Some(Ok((descriptor, kind))) => {
                let of = Goods::Port(key);
                (Outcome::Shared(kind), Some(Parcel { descriptor, of }))
            }
            Some(Err(_)) => {
                let data = port.data.clone();
                let errno = libc_errno::TOO_MANY_FILES;
                self.exchange.leave(worker, key, now);
                return self.refuse(life, ack, &Refusal::new(errno, data), now);
            }
        };
        let (name, data) = (port.name.clone(), port.data.clone());
        let reply = Reply {
            ack,
            seq,
            key: &name,
            data: data.as_ref(),
            outcome,
        };
        self.say(life, &ToNode::Reply(reply), parcel, now);
        self.give_duplicates(life, key);
        self.admit_to(key, life, now);
    }

    fn refuse(&mut self, life: Incarnation, ack: u64, refusal: &Refusal, now: Tick) {
        if let Some(problem) = &refusal.problem {
            let text = format!("a worker cannot listen: {problem}");
            self.desk.tell(News::Failed(text));
        }
        let errno = NonZero::new(refusal.errno).unwrap_or(INVALID);
        let reply = Reply {
            ack,
            seq: self.seq(),
            // No listener has it, and so no worker can have it twice.
            key: "",
            data: refusal.data.as_ref(),
            outcome: Outcome::Refused { errno },
        };
        self.say(life, &ToNode::Reply(reply), None, now);
    }

    /// The program does not listen there any more. Of a worker that was told to leave that says
    /// nothing about the others, who may not have begun.
    fn close(&mut self, life: Incarnation, name: &str, now: Tick) {
        let Ok(key) = name.parse::<u64>() else {
            return;
        };
        let Some(peer) = self.peers.get(&life) else {
            return;
        };
        let (worker, course) = (peer.id, peer.course);
        if let Some(dispatcher) = self.exchange.dispatcher(key) {
            let event = herder_core::dispatch::Event::Hold { worker };
            dispatcher.handle(event, now);
        }
        self.note_change();
        if self.exchange.leave(worker, key, now) && course == Course::Serves {
            self.close_port(key);
        }
    }

    fn note_leaving(&mut self, life: Incarnation, now: Tick) {
        let Some(peer) = self.peers.get_mut(&life) else {
            return;
        };
        if peer.course == Course::Serves {
            peer.course = Course::Leaves;
            self.note_change();
        }
        self.hold_everywhere(life, now);
    }

    fn tell_first(&mut self, life: Incarnation, word: Word) {
        let news = self.peers.get_mut(&life).and_then(|it| it.first(word));
        if let Some(news) = news {
            self.note_change();
            self.tell(news);
        }
    }
}

const INVALID: NonZero<i32> = NonZero::new(libc_errno::INVALID).expect("22 is not zero");

/// How long a worker waits for a place that was closed a moment ago: the keeper has a duplicate until it
/// has heard of that.
const CLOSES_WITHIN: Duration = Duration::from_secs(1);

/// A query that is asked again.
pub(super) struct Parked {
    pub(super) life: Incarnation,
    ack: u64,
    query: Query,
    until: Tick,
}

/// How to start a program whose launcher asks for a listener of its own.
fn launcher_of(query: &Query) -> Option<&'static str> {
    let path = query.address.as_deref()?;
    let is_tsx = path.contains("/tsx-") && path.ends_with(".pipe");
    is_tsx.then_some(
        "the tsx command keeps the channel for itself, so that every worker binds for itself: run \
         the program with --node-args '--import tsx'",
    )
}

/// Whether a worker asks for what it has in its hand: it asks for nothing in particular.
fn is_of_a_handle(query: &Query) -> bool {
    query.address.is_none() && query.port == Some(-1)
}
