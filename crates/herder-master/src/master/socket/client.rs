//! One who is connected with the herd's socket: what it has said and not finished, and what it was told and
//! has not read.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use herder_api::herd::MAX_LINE;
use herder_core::Tick;
use herder_sys::epoll::{Epoll, Interest};
use herder_sys::socket::{self, Wait};
use serde::{Deserialize, Serialize};

use crate::master::token::Source;

/// How much of a client's requests one turn of the main loop takes, in bytes.
const GULP: usize = 8 * 1024;

/// Who has left more than this unread is not heard until it reads.
const HEARD_UP_TO: usize = 64 * 1024;

/// Who leaves more than this unread is let go.
const MAX_UNREAD: usize = 2 * MAX_LINE;

/// So is who reads nothing at all for this long, when there is something.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who has more than this unsaid or unread does not travel to the next image of the master.
const LUGGAGE: usize = 64 * 1024;

/// A buffer that was emptied keeps this much room.
const ROOM_KEPT: usize = 64 * 1024;

/// A connection.
pub(super) struct Client {
    number: u64,
    socket: OwnedFd,
    input: Vec<u8>,
    /// So much of the input holds no newline.
    searched: usize,
    output: Vec<u8>,
    /// So much of the output has gone.
    sent: usize,
    /// Since when nothing of it goes.
    stuck: Option<Tick>,
    watched: Interest,
    course: Course,
    /// Whether the herd's status has changed since it was told.
    pub(super) is_behind: bool,
}

/// How far it has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Course {
    Open,
    /// It is not heard any more, and is let go when it has read what there is.
    Parting,
    Gone,
}

/// A client that travels to the next image of the master, without its socket.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::master) struct ClientState {
    pub(super) number: u64,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Client {
    pub(super) fn new(number: u64, socket: OwnedFd) -> Client {
        Client {
            number,
            socket,
            input: Vec::new(),
            searched: 0,
            output: Vec::new(),
            sent: 0,
            stuck: None,
            watched: Interest::READABLE,
            course: Course::Open,
            is_behind: false,
        }
    }

    /// One of the image before.
    pub(super) fn restored(state: ClientState, socket: OwnedFd) -> Client {
        Client {
            input: state.input,
            output: state.output,
            is_behind: true,
            ..Client::new(state.number, socket)
        }
    }

    /// Whether it can travel: what it has not finished saying, or not read, is little.
    pub(super) fn is_light(&self) -> bool {
        !self.is_gone() && self.input.len() <= LUGGAGE && self.unread() <= LUGGAGE
    }

    /// What the next image has to know.
    pub(super) fn state(&self) -> ClientState {
        ClientState {
            number: self.number,
            input: self.input.clone(),
            output: self.output[self.sent..].to_vec(),
        }
    }

    pub(super) fn watch(&self, epoll: &Epoll) -> io::Result<()> {
        let token = Source::Client(self.number).token();
        epoll.add(self.socket.as_fd(), token, self.watched)
    }

    /// Waits for what it can do next.
    pub(super) fn rewatch(&mut self, epoll: &Epoll) {
        let wanted = match (self.is_heard(), self.unread()) {
            (true, 0) => Interest::READABLE,
            (true, _) => Interest::READABLE | Interest::WRITABLE,
            (false, _) => Interest::WRITABLE,
        };
        let token = Source::Client(self.number).token();
        if wanted != self.watched && epoll.modify(self.socket.as_fd(), token, wanted).is_ok() {
            self.watched = wanted;
        }
    }

    /// Reads a little. The results are whole lines, without their ends.
    pub(super) fn read(&mut self) -> Vec<Vec<u8>> {
        if !self.is_heard() {
            return Vec::new();
        }
        let (mut room, mut unwanted) = ([0; GULP], Vec::new());
        match socket::receive(
            self.socket.as_fd(),
            &mut room,
            &mut unwanted,
            0,
            Wait::DontWait,
        ) {
            Ok(received) if received.len == 0 => self.part(),
            Ok(received) => self.input.extend_from_slice(&room[..received.len]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => self.course = Course::Gone,
        }
        self.take_lines()
    }

    fn take_lines(&mut self) -> Vec<Vec<u8>> {
        let (mut lines, mut begin) = (Vec::new(), 0);
        while let Some(length) = self.input[self.searched..]
            .iter()
            .position(|byte| *byte == b'\n')
        {
            let end = self.searched + length;
            lines.push(self.input[begin..end].to_vec());
            (begin, self.searched) = (end + 1, end + 1);
        }
        self.input.drain(..begin);
        self.searched = self.input.len();
        if self.input.is_empty() && self.input.capacity() > ROOM_KEPT {
            self.input = Vec::new();
        }
        lines
    }

    /// Whether it goes on with a line that is too long already.
    pub(super) fn is_endless(&self) -> bool {
        self.input.len() > MAX_LINE
    }

    /// Tells it something: whole lines. Who does not read is let go.
    pub(super) fn tell(&mut self, lines: &[u8]) {
        if self.course == Course::Gone {
            return;
        }
        self.output.extend_from_slice(lines);
        if self.unread() > MAX_UNREAD {
            self.course = Course::Gone;
        }
    }

    /// Sends what it takes.
    pub(super) fn flush(&mut self, now: Tick) {
        while self.course != Course::Gone && self.unread() > 0 {
            match socket::send(self.socket.as_fd(), &self.output[self.sent..], &[]) {
                Ok(count) => {
                    self.sent += count;
                    self.stuck = None;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let since = *self.stuck.get_or_insert(now);
                    if now.since(since) >= PATIENCE {
                        self.course = Course::Gone;
                    }
                    self.make_room();
                    return;
                }
                Err(_) => self.course = Course::Gone,
            }
        }
        self.make_room();
        if self.course == Course::Parting && self.unread() == 0 {
            self.course = Course::Gone;
        }
    }

    /// Forgets what has gone.
    fn make_room(&mut self) {
        if self.unread() == 0 {
            self.output.clear();
            self.output.shrink_to(ROOM_KEPT);
        } else if self.sent > ROOM_KEPT {
            self.output.drain(..self.sent);
        } else {
            return;
        }
        self.sent = 0;
    }

    /// Hears it no more, and lets it go when it has read everything.
    pub(super) fn part(&mut self) {
        if self.course == Course::Open {
            self.course = Course::Parting;
        }
    }

    /// Whether it is to be forgotten.
    pub(super) fn is_gone(&self) -> bool {
        self.course == Course::Gone
    }

    /// How much it has not read, in bytes.
    pub(super) fn unread(&self) -> usize {
        self.output.len() - self.sent
    }

    /// When it is let go if it goes on reading nothing.
    pub(super) fn deadline(&self) -> Option<Tick> {
        self.stuck.map(|since| since.after(PATIENCE))
    }

    fn is_heard(&self) -> bool {
        self.course == Course::Open && self.unread() <= HEARD_UP_TO
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::*;

    fn pair() -> (Client, UnixStream) {
        let (ours, theirs) = socket::stream_pair().expect("a pair");
        let theirs = UnixStream::from(theirs);
        theirs.set_nonblocking(true).expect("a socket");
        (Client::new(1, ours), theirs)
    }

    fn at(seconds: u64) -> Tick {
        Tick::ZERO.after(Duration::from_secs(seconds))
    }

    /// What was read until nothing more was there.
    fn drain(peer: &mut UnixStream) -> usize {
        let (mut room, mut total) = ([0; 65_536], 0);
        while let Ok(count) = peer.read(&mut room) {
            total += count;
            if count == 0 {
                break;
            }
        }
        total
    }

    #[test]
    fn lines_are_whole_however_they_arrive() {
        let (mut client, mut peer) = pair();
        peer.write_all(b"one\ntw").expect("room");
        assert_eq!(client.read(), [b"one"]);
        peer.write_all(b"o\n\nthree").expect("room");
        assert_eq!(client.read(), [b"two".to_vec(), Vec::new()]);
        assert_eq!(client.read(), Vec::<Vec<u8>>::new());
        peer.write_all(b"\n").expect("room");
        drop(peer);
        assert_eq!(client.read(), [b"three"]);
        assert!(client.read().is_empty() && !client.is_heard());
        client.flush(at(0));
        assert!(client.is_gone());
    }

    #[test]
    fn a_line_without_an_end_is_noticed_at_its_limit() {
        let (mut client, mut peer) = pair();
        let mut sent = 0;
        while sent <= MAX_LINE {
            assert!(!client.is_endless(), "{sent}");
            sent += peer.write(&[b'x'; GULP]).expect("it is read");
            assert!(client.read().is_empty());
        }
        assert!(client.is_endless());
        assert!(client.input.capacity() <= 3 * MAX_LINE);
    }

    #[test]
    fn who_does_not_read_is_not_heard_and_then_let_go() {
        let (mut client, mut peer) = pair();
        peer.write_all(b"request\n").expect("room");
        let line = vec![b'x'; 1024];
        let mut told = 0;
        while client.is_heard() {
            client.tell(&line);
            client.flush(at(0));
            told += line.len();
        }
        assert!(client.read().is_empty(), "it owes us a reading first");
        let mut read = 0;
        while read < told {
            read += drain(&mut peer);
            client.flush(at(1));
        }
        assert_eq!((client.unread(), read), (0, told));
        assert_eq!(client.read(), [b"request"]);
        while !client.is_gone() {
            client.tell(&line);
            client.flush(at(2));
            assert!(client.output.len() <= MAX_UNREAD + ROOM_KEPT + line.len());
        }
    }

    #[test]
    fn who_reads_nothing_for_long_is_let_go() {
        let (mut client, mut peer) = pair();
        let text = vec![b'x'; 512 * 1024];
        client.tell(&text);
        client.flush(at(10));
        assert_eq!(client.deadline(), Some(at(40)));
        drain(&mut peer);
        client.flush(at(20));
        let since = client.deadline().expect("there is more");
        assert_eq!(since, at(50), "it has read something");
        client.flush(at(49));
        assert!(!client.is_gone());
        client.flush(at(50));
        assert!(client.is_gone());
    }

    #[test]
    fn what_a_client_said_and_was_told_travels_with_it() {
        let (mut client, mut peer) = pair();
        peer.write_all(b"half a l").expect("room");
        assert!(client.read().is_empty());
        client.tell(b"answer\n");
        assert!(client.is_light());
        let text = serde_json::to_string(&client.state()).expect("JSON");
        let state: ClientState = serde_json::from_str(&text).expect("ours");
        let mut client = Client::restored(state, client.socket);
        peer.write_all(b"ine\n").expect("room");
        assert_eq!(client.read(), [b"half a line"]);
        client.flush(at(0));
        let mut room = [0; 16];
        assert_eq!(peer.read(&mut room).expect("an answer"), 7);
        assert_eq!(&room[..7], b"answer\n");
        client.tell(&[b'x'; LUGGAGE + 1]);
        assert!(!client.is_light(), "that much is not written down");
    }
}
