//! A channel, with the worker's end in the hand of the test.

use std::os::fd::{AsFd, OwnedFd};

use herder_sys::{fd, socket};
use herder_wire::node::UserValue;

use super::*;

struct Worker {
    channel: Channel,
    /// The worker's end.
    end: OwnedFd,
    room: Vec<u8>,
}

fn worker() -> Worker {
    let (ours, end) = socket::stream_pair().expect("a pair");
    Worker {
        channel: Channel::new(ours),
        end,
        room: vec![0; ROOM],
    }
}

fn connection() -> OwnedFd {
    let (one, _other) = socket::stream_pair().expect("a pair");
    one
}

fn parcel() -> Parcel {
    Parcel {
        descriptor: connection(),
        of: Goods::Gift(0),
    }
}

fn text(length: usize) -> UserValue {
    UserValue::from_text(&"x".repeat(length))
}

impl Worker {
    /// Reads as Node does: at most so much at once, and the newest descriptor is the only one.
    fn read(&mut self) -> (Vec<u8>, Option<OwnedFd>) {
        let (mut bytes, mut fds) = (vec![0; READ_SIZE], Vec::new());
        let fd = self.end.as_fd();
        match socket::receive(fd, &mut bytes, &mut fds, 8, Wait::DontWait) {
            Ok(received) => bytes.truncate(received.len),
            Err(_) => bytes.clear(),
        }
        (bytes, fds.pop())
    }

    fn read_all(&mut self) -> (Vec<u8>, usize) {
        let (mut all, mut descriptors) = (Vec::new(), 0);
        loop {
            let (bytes, descriptor) = self.read();
            descriptors += usize::from(descriptor.is_some());
            if bytes.is_empty() {
                return (all, descriptors);
            }
            all.extend(bytes);
        }
    }

    fn write(&self, bytes: &[u8]) {
        let sent = socket::send(self.end.as_fd(), bytes, &[]).expect("there is room");
        assert_eq!(sent, bytes.len());
    }

    fn write_with(&self, bytes: &[u8], descriptor: &OwnedFd) {
        let fds = [descriptor.as_fd()];
        let sent = socket::send(self.end.as_fd(), bytes, &fds).expect("there is room");
        assert_eq!(sent, bytes.len());
    }

    fn heard(&mut self) -> Result<Vec<Heard>, Fault> {
        let mut all = Vec::new();
        while self.channel.read(&mut self.room, Care::Plain)? == Reading::Goes {
            self.hear_into(&mut all)?;
        }
        self.hear_into(&mut all)?;
        Ok(all)
    }

    fn hear_into(&mut self, all: &mut Vec<Heard>) -> Result<(), Fault> {
        while let Some(heard) = self.channel.hear()? {
            all.push(heard);
        }
        Ok(())
    }
}

const ACK: &[u8] = b"{\"cmd\":\"NODE_HANDLE_ACK\"}\n";
const NACK: &[u8] = b"{\"cmd\":\"NODE_HANDLE_NACK\"}\n";

#[test]
fn no_reading_of_the_worker_ends_within_an_envelope_while_another_follows() {
    let mut worker = worker();
    worker
        .channel
        .say(&ToNode::User(&text(65_400)), None)
        .expect("there is room");
    worker
        .channel
        .pass("1", 1, connection().as_fd())
        .expect("the first one always goes");
    let second = connection();
    let refused = worker.channel.pass("1", 2, second.as_fd());
    assert!(refused.is_err(), "the first one may be cut by a reading");
    let (bytes, descriptors) = worker.read_all();
    assert!(bytes.len() > 65_500);
    assert_eq!(descriptors, 1);
    // It has read, but the master does not know.
    assert!(worker.channel.pass("1", 2, second.as_fd()).is_err());
    worker.write(ACK);
    assert_eq!(worker.heard(), Ok(vec![Heard::Acknowledged]));
    worker
        .channel
        .pass("1", 2, second.as_fd())
        .expect("all that was written before is read");
}

#[test]
fn many_small_envelopes_go_at_once() {
    let mut worker = worker();
    for seq in 0..50 {
        let passed = worker.channel.pass("1", seq, connection().as_fd());
        passed.expect("far from what a reading takes");
    }
    let mut descriptors = 0;
    loop {
        let (bytes, descriptor) = worker.read();
        if bytes.is_empty() {
            break;
        }
        let lines = bytes.split(|byte| *byte == b'\n').count() - 1;
        assert_eq!((lines, descriptor.is_some()), (1, true));
        descriptors += 1;
    }
    assert_eq!(descriptors, 50);
}

#[test]
fn what_does_not_fit_goes_later_and_in_order() {
    let mut worker = worker();
    let values: Vec<UserValue> = (0..20).map(|n| text(40_000 + n)).collect();
    let mut expected = Vec::new();
    for value in &values {
        let message = ToNode::User(value);
        message.encode(Framing::Node, &mut expected);
        worker.channel.say(&message, None).expect("there is room");
    }
    let gift = ToNode::UserWithHandle {
        handle: herder_wire::node::UserHandle::Server,
        value: &values[0],
    };
    gift.encode(Framing::Node, &mut expected);
    worker
        .channel
        .say(&gift, Some(parcel()))
        .expect("there is room");
    assert!(worker.channel.wants_room());
    assert!(worker.channel.pass("1", 1, connection().as_fd()).is_err());
    let (mut found, mut descriptors) = (Vec::new(), 0);
    while found.len() < expected.len() {
        let (bytes, descriptor) = worker.read();
        descriptors += usize::from(descriptor.is_some());
        found.extend(bytes);
        worker.channel.flush();
    }
    assert!(found == expected, "unsplit and in order");
    assert_eq!(descriptors, 1);
    assert!(!worker.channel.wants_room());
}

#[test]
fn a_worker_that_does_not_read_is_given_up() {
    let mut worker = worker();
    let value = text(60_000);
    let said = (0..100).try_for_each(|_| worker.channel.say(&ToNode::User(&value), None));
    assert_eq!(said, Err(Fault::Deaf));
}

#[test]
fn what_a_worker_does_not_read_takes_few_descriptors() {
    let mut worker = worker();
    let value = text(1);
    let before = fd::open_count().expect("/proc");
    let mut said = 0;
    let message = ToNode::UserWithHandle {
        handle: herder_wire::node::UserHandle::Server,
        value: &value,
    };
    let fault = loop {
        match worker.channel.say(&message, Some(parcel())) {
            Ok(()) => said += 1,
            Err(fault) => break fault,
        }
    };
    assert_eq!(fault, Fault::Deaf);
    assert!(said >= MAX_UNSENT_HANDLES);
    // Other tests open and close theirs meanwhile.
    let after = fd::open_count().expect("/proc");
    assert!(
        after < before + MAX_UNSENT_HANDLES + 100,
        "{before}, {after}"
    );
}

#[test]
fn each_envelope_of_the_workers_is_answered_once() {
    let mut worker = worker();
    let line = b"{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Socket\",\"msg\":\"look\"}\n";
    worker.write_with(line, &connection());
    let look = Heard::Message(FromNode::User(UserValue::from_text("look")));
    assert_eq!(worker.heard(), Ok(vec![look]));
    assert_eq!(worker.read_all(), (ACK.to_vec(), 0));
    worker.write(line);
    assert_eq!(worker.heard().map(|heard| heard.len()), Ok(1));
    assert_eq!(worker.read_all(), (NACK.to_vec(), 0));
}

#[test]
fn an_envelope_may_come_in_any_pieces() {
    let line = b"{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Socket\",\"msg\":5}\n";
    for split in 1..line.len() {
        for first in [true, false] {
            let mut worker = worker();
            let (start, rest) = line.split_at(split);
            let descriptor = connection();
            if first {
                worker.write_with(start, &descriptor);
            } else {
                worker.write(start);
            }
            assert_eq!(worker.heard(), Ok(Vec::new()), "{split}");
            if first {
                worker.write(rest);
            } else {
                worker.write_with(rest, &descriptor);
            }
            assert_eq!(worker.heard().map(|heard| heard.len()), Ok(1));
            assert_eq!(worker.read_all().0, ACK, "{split}");
        }
    }
}

#[test]
fn a_connection_that_did_not_arrive_is_named() {
    let mut worker = worker();
    for seq in [7, 8] {
        let passed = worker.channel.pass("1", seq, connection().as_fd());
        passed.expect("there is room");
    }
    worker.write(&[ACK, NACK, NACK].concat());
    let heard = vec![Heard::Acknowledged, Heard::Lost(Some(8)), Heard::Lost(None)];
    assert_eq!(worker.heard(), Ok(heard));
}

#[test]
fn sockets_that_belong_to_nothing_are_closed_and_counted() {
    let mut worker = worker();
    let before = fd::open_count().expect("/proc");
    let descriptor = connection();
    let sent = (0..64).map(|_| {
        worker.write_with(b"\"look\"\n", &descriptor);
        worker.heard().map(drop)
    });
    let faults: Vec<_> = sent.filter_map(Result::err).collect();
    assert_eq!(faults.first(), Some(&Fault::Uninvited));
    drop(descriptor);
    // Other tests open and close theirs meanwhile.
    assert!(fd::open_count().expect("/proc") < before + 40);
}

#[test]
fn the_end_is_heard_after_all_that_was_said() {
    let mut worker = worker();
    worker.write(b"\"last\"\n");
    worker.end = connection();
    let mut readings = Vec::new();
    for _ in 0..3 {
        readings.push(worker.channel.read(&mut worker.room, Care::Plain));
    }
    assert!(readings.contains(&Ok(Reading::Ended)));
    let last = Heard::Message(FromNode::User(UserValue::from_text("last")));
    assert_eq!(worker.channel.hear(), Ok(Some(last)));
}

#[test]
fn lines_that_no_node_writes_are_a_fault() {
    for (line, problem) in [
        (&b"\n"[..], "blank"),
        (b"{\n", "JSON"),
        (
            b"{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\"}\n",
            "seq",
        ),
    ] {
        let mut worker = worker();
        worker.write(line);
        let fault = worker.heard().expect_err("no Node writes it").to_string();
        assert!(fault.contains(problem), "{fault}");
    }
}
