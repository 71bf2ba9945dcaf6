//! A channel that changes hands: what the last master had begun on it is brought to its end.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use herder_sys::socket::{self, Wait};
use herder_wire::node::{Beginning, Decoder, Framing, ToNode};
use serde::{Deserialize, Serialize};

use super::{
    Arrival, Author, Care, Channel, Envelope, Goods, Grasp, Line, Parcel, ROOM, Reading, Standpoint,
};

/// How an envelope of a worker's begins.
const ENVELOPE_START: &[u8] = br#"{"cmd":"NODE_HANDLE""#;

/// What is in every one of them.
const ENVELOPE: &[u8] = b"\"NODE_HANDLE\"";

/// What is written down of a channel.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(in crate::dispatch::node) struct ChannelState {
    speaks_as_bun: bool,
    /// The last line whose beginning was written alone.
    last_cut: u32,
    cut: Option<CutState>,
    /// All that there was, if the channel was given on by a living master.
    whole: Option<Whole>,
}

/// How far a line is written whose beginning was written alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(in crate::dispatch::node) struct Progress {
    /// The number of the line.
    pub(in crate::dispatch::node) line: u32,
    /// How many of its bytes are written.
    pub(in crate::dispatch::node) written: u64,
}

/// Such a line.
pub(super) type Cut = Progress;

/// What is to be noted of such a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::dispatch::node) enum CutNews {
    /// There is a new one: its rest must be written down.
    Begun,
    /// This much is written by now.
    Goes(Progress),
}

/// What is still to be written of such a line, from where it was when that was written down.
#[derive(Clone, Serialize, Deserialize)]
struct CutState {
    from: u64,
    /// Text does not break at the bytes of a letter: those that come first, then whole letters.
    lead: Vec<u8>,
    rest: String,
}

/// All that a living master knows of a channel.
#[derive(Clone, Serialize, Deserialize)]
struct Whole {
    /// What has come of an unfinished line; `None` for one that is left out.
    unfinished: Option<Vec<u8>>,
    unsent: Vec<Unsent>,
    front_is_cut: bool,
    /// How many bytes the worker is not known to have read.
    unread: u64,
    /// How many bytes after the last that it is known to have read each one ends, and its number.
    unanswered: Vec<(u64, Option<u64>)>,
    grasp: Grasp,
    arrival_waits: bool,
    uninvited: u32,
}

#[derive(Clone, Serialize, Deserialize)]
struct Unsent {
    bytes: Vec<u8>,
    goods: Option<Goods>,
    author: Author,
}

impl ChannelState {
    /// Whether a living master gave the channel on.
    pub(in crate::dispatch::node) fn is_whole(&self) -> bool {
        self.whole.is_some()
    }
}

impl Channel {
    /// Goes on with a channel. The last master was reading at `standpoint` when it died, if that is within a
    /// line, and had come so far with writing; `duplicate` gives what is to go with lines that were not sent.
    pub(in crate::dispatch::node) fn resume(
        socket: OwnedFd,
        state: ChannelState,
        (standpoint, progress): (Standpoint, Progress),
        duplicate: impl Fn(Goods) -> Option<OwnedFd>,
    ) -> Channel {
        let mut channel = Channel::new(socket);
        channel.last_cut = state.last_cut;
        let framing = if state.speaks_as_bun {
            Framing::Bun
        } else {
            Framing::Node
        };
        if let Some(whole) = state.whole {
            channel.resume_whole(whole, framing, duplicate);
            return channel;
        }
        let beginning = match standpoint {
            Standpoint::BetweenLines => Beginning::Unknown,
            Standpoint::WithinEnvelope | Standpoint::WithinLine => Beginning::Within,
        };
        channel.decoder = Decoder::resuming(framing, beginning);
        channel.grasp = Grasp::Unread;
        let rest = state
            .cut
            .map(|cut| cut.rest_after(state.last_cut, progress));
        if let Some(bytes) = rest.filter(|bytes| !bytes.is_empty()) {
            channel.unsent_bytes = bytes.len();
            channel.unsent.push_back(Line {
                bytes,
                parcel: None,
                author: Author::Master,
            });
            channel.note_cut(0);
        }
        channel
    }

    /// Answers an envelope of the worker's that the last master has read and did not answer. The worker
    /// holds everything else back until then.
    pub(in crate::dispatch::node) fn answer_owed(&mut self) {
        // There is room for a short line in an empty queue.
        let _said = self.say(&ToNode::Acknowledged, None);
    }

    /// What is to be written down now: enough for the case that this process dies.
    pub(in crate::dispatch::node) fn state(&self) -> ChannelState {
        let cut = self.cut.zip(self.unsent.front());
        ChannelState {
            speaks_as_bun: self.decoder.framing() == Framing::Bun,
            last_cut: self.last_cut,
            cut: cut.map(|(cut, line)| CutState::new(cut.written, &line.bytes)),
            whole: None,
        }
    }

    /// All that there is, for who goes on with it.
    pub(in crate::dispatch::node) fn whole_state(&self) -> ChannelState {
        let unsent = |line: &Line| Unsent {
            bytes: line.bytes.clone(),
            goods: line.parcel.as_ref().map(|parcel| parcel.of),
            author: line.author,
        };
        let unanswered = |it: &Envelope| (it.end.saturating_sub(self.known_read), it.conn);
        let unfinished = self.decoder.unfinished_line();
        let whole = Whole {
            unfinished: unfinished.map(<[u8]>::to_vec),
            unsent: self.unsent.iter().map(unsent).collect(),
            front_is_cut: self.cut.is_some(),
            unread: self.written - self.known_read,
            unanswered: self.unanswered.iter().map(unanswered).collect(),
            grasp: self.grasp,
            arrival_waits: self.arrival == Arrival::Waits,
            uninvited: self.uninvited,
        };
        ChannelState {
            whole: Some(whole),
            ..self.state()
        }
    }

    /// What is to be noted of a line that is half written, since this was last asked.
    pub(in crate::dispatch::node) fn take_cut_news(&mut self) -> Option<CutNews> {
        self.cut_news.take()
    }

    /// Where reading stands.
    pub(in crate::dispatch::node) fn standpoint(&self) -> Standpoint {
        match self.decoder.unfinished_line() {
            Some([]) => Standpoint::BetweenLines,
            Some(line) if line.starts_with(ENVELOPE_START) => Standpoint::WithinEnvelope,
            Some(_) | None => Standpoint::WithinLine,
        }
    }

    /// Whether the worker has not received all that the last master said, which no event tells. Until then
    /// it gets no descriptor: one that lies in the channel already could be taken for it.
    pub(in crate::dispatch::node) fn is_settling(&self) -> bool {
        self.grasp == Grasp::Unread
    }

    /// Whether that has passed since this was last asked.
    pub(in crate::dispatch::node) fn take_settled(&mut self) -> bool {
        std::mem::take(&mut self.has_settled)
    }

    /// Looks whether the worker has received everything, where that matters.
    pub(in crate::dispatch::node) fn look_after_reading(&mut self) {
        if self.grasp == Grasp::Certain {
            return;
        }
        // It fails only on what is no socket.
        if socket::unsent_bytes(self.socket.as_fd()).is_ok_and(|unsent| unsent == 0) {
            self.known_read = self.written;
            self.has_settled |= self.grasp == Grasp::Unread;
            self.grasp = Grasp::Unanswered;
        }
    }

    /// Takes out of the socket what was only looked at: all is done that it asks for.
    pub(in crate::dispatch::node) fn done(&mut self, room: &mut [u8]) {
        while self.looked_at > 0 {
            let (mut none, part) = (Vec::new(), self.looked_at.min(room.len()));
            let room = &mut room[..part];
            match socket::receive(self.socket.as_fd(), room, &mut none, 0, Wait::DontWait) {
                Ok(received) if received.len > 0 => self.looked_at -= received.len,
                // Nobody else reads here, so that it cannot be.
                Ok(_) | Err(_) => self.looked_at = 0,
            }
        }
    }

    /// Reads and leaves everything where it is; `None` when it must be read in the plain way.
    pub(super) fn look(&mut self, room: &mut [u8]) -> Option<Reading> {
        debug_assert!(room.len() <= ROOM);
        let length = match socket::peek(self.socket.as_fd(), room, Wait::DontWait) {
            Ok(0) => return None,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Some(Reading::Quiet),
            Err(_) => return None,
        };
        let bytes = &room[..length];
        // A descriptor that comes with it is seen only by who takes it; and a second answer would be the
        // worker's death.
        if self.arrival == Arrival::Waits
            || self.standpoint() == Standpoint::WithinEnvelope
            || bytes.windows(ENVELOPE.len()).any(|part| part == ENVELOPE)
        {
            return None;
        }
        self.decoder.push(bytes);
        self.looked_at = length;
        Some(if length < room.len() {
            Reading::Quiet
        } else {
            Reading::Goes
        })
    }

    /// A verdict names the envelope that it is about, which was answered before: so were all before that.
    pub(super) fn note_verdict(&mut self, seq: u64) {
        if self.grasp == Grasp::Certain {
            return;
        }
        let is_it = |envelope: &Envelope| envelope.conn == Some(seq);
        let Some(place) = self.unanswered.iter().position(is_it) else {
            return;
        };
        for envelope in self.unanswered.drain(..=place) {
            self.known_read = self.known_read.max(envelope.end);
        }
        self.grasp = Grasp::Certain;
    }

    /// So much more of the first line is written, and there is more of it.
    pub(super) fn note_cut(&mut self, length: usize) {
        if let Some(cut) = &mut self.cut {
            cut.written += length as u64;
            let goes = CutNews::Goes(*cut);
            return self.note_progress(goes);
        }
        self.last_cut = self.last_cut.wrapping_add(1);
        self.cut = Some(Cut {
            line: self.last_cut,
            written: length as u64,
        });
        self.cut_news = Some(CutNews::Begun);
    }

    /// So much more of the first line is written, and that was all of it.
    pub(super) fn note_end_of_cut(&mut self, length: usize) {
        if let Some(mut cut) = self.cut.take() {
            cut.written += length as u64;
            self.note_progress(CutNews::Goes(cut));
        }
    }

    /// Of a line that is not written down yet, nothing else needs to be known.
    fn note_progress(&mut self, goes: CutNews) {
        if self.cut_news != Some(CutNews::Begun) {
            self.cut_news = Some(goes);
        }
    }

    fn resume_whole(
        &mut self,
        whole: Whole,
        framing: Framing,
        duplicate: impl Fn(Goods) -> Option<OwnedFd>,
    ) {
        let beginning = match whole.unfinished {
            Some(_) => Beginning::Line,
            None => Beginning::Within,
        };
        self.decoder = Decoder::resuming(framing, beginning);
        self.decoder.push(&whole.unfinished.unwrap_or_default());
        self.written = whole.unread;
        let unanswered = whole.unanswered.into_iter();
        self.unanswered = unanswered
            .map(|(end, conn)| Envelope { end, conn })
            .collect::<VecDeque<_>>();
        self.grasp = whole.grasp;
        self.uninvited = whole.uninvited;
        if whole.arrival_waits {
            self.arrival = Arrival::Waits;
        }
        for line in whole.unsent {
            let parcel = line.goods.and_then(|of| {
                let descriptor = duplicate(of)?;
                Some(Parcel { descriptor, of })
            });
            if line.goods.is_some() && parcel.is_none() {
                // The listener is gone, and without it the line would be misunderstood.
                continue;
            }
            self.unsent_handles += usize::from(parcel.is_some());
            match line.author {
                Author::Master => self.unsent_bytes += line.bytes.len(),
                Author::Program => self.unsent_mail += line.bytes.len(),
            }
            self.unsent.push_back(Line {
                bytes: line.bytes,
                parcel,
                author: line.author,
            });
        }
        if whole.front_is_cut {
            self.note_cut(0);
        }
    }
}

impl CutState {
    fn new(from: u64, bytes: &[u8]) -> CutState {
        let is_within_letter = |byte: &&u8| **byte & 0b1100_0000 == 0b1000_0000;
        let lead = bytes.iter().take_while(is_within_letter);
        let (lead, rest) = bytes.split_at(lead.count());
        CutState {
            from,
            lead: lead.to_vec(),
            // It is JSON, which is UTF-8.
            rest: String::from_utf8_lossy(rest).into_owned(),
        }
    }

    /// What is still to be written when this much was: of this line, if it has the same number.
    fn rest_after(self, line: u32, progress: Progress) -> Vec<u8> {
        let mut bytes = self.lead;
        bytes.extend_from_slice(self.rest.as_bytes());
        if progress.line == line {
            let written = progress.written.saturating_sub(self.from);
            let written = usize::try_from(written).unwrap_or(usize::MAX);
            bytes.drain(..written.min(bytes.len()));
        }
        bytes
    }
}

impl Care {
    /// How a worker is read that was, or was not yet, given connections. What it says at first it says only
    /// once, and waits for the answers; later each reading counts.
    pub(in crate::dispatch::node) fn of(is_young: bool) -> Care {
        if is_young { Care::Careful } else { Care::Plain }
    }
}
