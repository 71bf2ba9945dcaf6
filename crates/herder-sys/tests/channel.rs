//! What the dispatcher builds on: messages with descriptors, counting and taking back what a
//! worker has not received, and the edges by which it learns that it did.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "support/directory.rs"]
mod directory;
#[path = "support/life.rs"]
mod life;
#[path = "support/own_process.rs"]
mod own_process;

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::time::{Duration, Instant};

use directory::Directory;
use herder_sys::epoll::{Epoll, Events, Interest};
use herder_sys::fd::{Blocking, duplicate, null, open_count, set_blocking};
use herder_sys::socket::{
    MAX_FDS_PER_MESSAGE, Received, Wait, bind_datagram, discard, is_socket, peek, peer_credentials,
    receive, refuse_descriptors, send, seqpacket_pair, set_send_buffer, shutdown_both,
    shutdown_write, stream_pair, unread_bytes,
};
use life::Life;
use own_process::in_own_process;

const RECORD: [u8; 16] = *b"0123456789abcdef";

fn intact(len: usize) -> Received {
    Received {
        len,
        data_truncated: false,
        descriptors_lost: false,
    }
}

fn take(fd: &OwnedFd, room: usize) -> (Received, Vec<OwnedFd>) {
    let mut fds = Vec::new();
    let received = receive(fd.as_fd(), &mut [0; 64], &mut fds, room, Wait::DontWait).unwrap();
    (received, fds)
}

fn nothing_there(fd: &OwnedFd) -> bool {
    receive(fd.as_fd(), &mut [0; 64], &mut Vec::new(), 4, Wait::DontWait)
        .is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

#[test]
fn descriptors_arrive_close_on_exec_and_mean_the_same_file() {
    let (ours, theirs) = seqpacket_pair().unwrap();
    let (mut life, writer) = Life::new();
    let gift = null().unwrap();
    let gifts = [gift.as_fd(), writer.as_fd(), gift.as_fd(), gift.as_fd()];
    assert_eq!(send(ours.as_fd(), &RECORD, &gifts).unwrap(), 16);
    drop(writer);

    let (received, fds) = take(&theirs, 4);
    assert_eq!((received, fds.len()), (intact(16), 4));
    for fd in &fds {
        let flags = rustix::io::fcntl_getfd(fd).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    }
    assert!(!life.is_over());
    drop(fds);
    assert!(life.is_over());
}

#[test]
fn a_descriptor_too_many_is_closed_and_told() {
    // The usual buffer for one descriptor has room for two, because of its alignment.
    for (room, sent) in [(1, 2), (0, 1), (0, 3), (2, 3), (3, 4), (4, 253)] {
        let (ours, theirs) = seqpacket_pair().unwrap();
        let gift = null().unwrap();
        let (mut life, last) = Life::new();
        let mut gifts = vec![gift.as_fd(); sent - 1];
        gifts.push(last.as_fd());
        send(ours.as_fd(), b"gifts", &gifts).unwrap();
        drop(last);

        let (received, fds) = take(&theirs, room);
        assert_eq!(
            received,
            Received {
                descriptors_lost: true,
                ..intact(5)
            }
        );
        assert_eq!(fds.len(), room, "{sent} sent");
        assert!(life.is_over(), "{sent} sent, room for {room}");
    }
}

#[test]
fn nothing_leaks_whatever_arrives() {
    in_own_process("nothing_leaks_whatever_arrives", || {
        let (ours, theirs) = seqpacket_pair().unwrap();
        let gift = null().unwrap();
        let before = open_count().unwrap();
        for sent in [1, 2, 5, 253] {
            let gifts = vec![gift.as_fd(); sent];
            for room in [0, 1, 2, 4, 300] {
                send(ours.as_fd(), b"x", &gifts).unwrap();
                let (received, fds) = take(&theirs, room);
                assert_eq!(received.descriptors_lost, sent > room);
                assert_eq!(open_count().unwrap(), before + sent.min(room));
                drop(fds);
            }
        }
        send(ours.as_fd(), b"discarded unread", &[gift.as_fd()]).unwrap();
        drop((ours, theirs));
        assert_eq!(open_count().unwrap(), before - 2);
    });
}

#[test]
fn an_unwanted_connection_that_lingers_does_not_hold_the_receiver() {
    let (ours, theirs) = seqpacket_pair().unwrap();
    let (slow, _unread) = lingering_connection();
    send(ours.as_fd(), b"poison", &[slow.as_fd()]).unwrap();
    drop(slow);
    let start = Instant::now();
    let (received, _none) = take(&theirs, 0);
    assert!(received.descriptors_lost);
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );

    let (slow, _unread) = lingering_connection();
    let start = Instant::now();
    discard(slow);
    discard(null().unwrap());
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
}

/// A connection whose `close` waits half a minute for a reader that does not read.
fn lingering_connection() -> (OwnedFd, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let slow = OwnedFd::from(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
    let (unread, _) = listener.accept().unwrap();
    let linger = Some(Duration::from_secs(30));
    rustix::net::sockopt::set_socket_linger(&slow, linger).unwrap();
    while send(slow.as_fd(), &[0; 65536], &[]).is_ok() {}
    (slow, unread)
}

#[test]
fn what_is_unread_is_counted_over_messages_and_from_a_duplicate() {
    let (ours, theirs) = seqpacket_pair().unwrap();
    let outside = duplicate(theirs.as_fd()).unwrap();
    let gift = null().unwrap();
    for expected in [16, 32, 48] {
        send(ours.as_fd(), &RECORD, &[gift.as_fd()]).unwrap();
        assert_eq!(unread_bytes(outside.as_fd()).unwrap(), expected);
    }
    assert_eq!(take(&theirs, 4).0, intact(16));
    assert_eq!(unread_bytes(outside.as_fd()).unwrap(), 32);
    assert_eq!(
        unread_bytes(ours.as_fd()).unwrap(),
        0,
        "the other direction is empty"
    );
}

#[test]
fn what_the_worker_has_not_received_is_taken_back_with_its_descriptors() {
    let (ours, theirs) = seqpacket_pair().unwrap();
    let outside = duplicate(theirs.as_fd()).unwrap();
    let lives: Vec<Life> = (0_u8..5)
        .map(|id| {
            let (life, writer) = Life::new();
            send(ours.as_fd(), &[id; 16], &[writer.as_fd()]).unwrap();
            life
        })
        .collect();

    let (received, first) = take(&theirs, 4);
    assert_eq!((received.len, first.len()), (16, 1));
    let mut buf = [0; 64];
    let mut back = Vec::new();
    for id in 1..5 {
        let len = receive(outside.as_fd(), &mut buf, &mut back, 4, Wait::DontWait)
            .unwrap()
            .len;
        assert_eq!(&buf[..len], [id; 16]);
    }
    assert_eq!(back.len(), 4);
    assert!(nothing_there(&outside) && nothing_there(&theirs));
    drop((first, back));
    assert!(
        lives.into_iter().all(|mut life| life.is_over()),
        "no second copy anywhere"
    );
}

#[test]
fn of_two_that_race_exactly_one_receives_each_message() {
    const MESSAGES: u32 = 800;
    let (ours, theirs) = seqpacket_pair().unwrap();
    let racers: Vec<_> = (0..2)
        .map(|_| {
            let end = duplicate(theirs.as_fd()).unwrap();
            std::thread::spawn(move || {
                let (mut got, mut fds) = (Vec::new(), Vec::new());
                let mut buf = [0; 4];
                while receive(end.as_fd(), &mut buf, &mut fds, 1, Wait::Block)
                    .unwrap()
                    .len
                    == 4
                {
                    got.push(u32::from_ne_bytes(buf));
                }
                assert_eq!(fds.len(), got.len());
                got
            })
        })
        .collect();
    let (epoll, mut events) = (Epoll::new().unwrap(), Events::with_capacity(1));
    epoll.add(ours.as_fd(), 0, Interest::WRITABLE).unwrap();
    let gift = null().unwrap();
    for id in 0..MESSAGES {
        while send(ours.as_fd(), &id.to_ne_bytes(), &[gift.as_fd()]).is_err() {
            epoll
                .wait(&mut events, Some(Duration::from_secs(10)))
                .unwrap();
            assert!(!events.is_empty());
        }
    }
    shutdown_write(ours.as_fd()).unwrap();
    let mut all: Vec<u32> = racers
        .into_iter()
        .flat_map(|racer| racer.join().unwrap())
        .collect();
    all.sort_unstable();
    assert_eq!(all, (0..MESSAGES).collect::<Vec<_>>());
}

#[test]
fn each_receive_of_the_peer_gives_one_writable_edge() {
    let (ours, theirs) = seqpacket_pair().unwrap();
    let gift = null().unwrap();
    let (epoll, mut events) = (Epoll::new().unwrap(), Events::with_capacity(4));
    let mut edges = || {
        epoll.wait(&mut events, Some(Duration::ZERO)).unwrap();
        events
            .iter()
            .filter(|event| event.token == 9 && event.writable)
            .count()
    };
    for _ in 0..8 {
        send(ours.as_fd(), &RECORD, &[gift.as_fd()]).unwrap();
    }
    epoll
        .add(ours.as_fd(), 9, Interest::WRITABLE | Interest::EDGE)
        .unwrap();
    assert_eq!(edges(), 1, "the state at the beginning");
    assert_eq!(edges(), 0);
    for _ in 0..4 {
        assert_eq!(take(&theirs, 4).1.len(), 1);
        assert_eq!(edges(), 1, "after one receive");
        assert_eq!(edges(), 0, "and only one");
    }
    assert_eq!((take(&theirs, 4).1.len(), take(&theirs, 4).1.len()), (1, 1));
    assert_eq!(edges(), 1, "two receives between two looks are one event");
}

#[test]
fn refused_descriptors_fail_at_the_sender_and_plain_data_passes() {
    let (ours, theirs) = seqpacket_pair().unwrap();
    match refuse_descriptors(ours.as_fd()) {
        Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => {
            return eprintln!("skipped: this kernel has no SO_PASSRIGHTS");
        }
        result => result.unwrap(),
    }
    let gift = null().unwrap();
    let refused = send(theirs.as_fd(), b"x", &[gift.as_fd()]).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::EPERM));
    assert!(nothing_there(&ours));
    send(theirs.as_fd(), b"plain", &[]).unwrap();
    assert_eq!(take(&ours, 4).0, intact(5));
    send(ours.as_fd(), b"ours", &[gift.as_fd()]).unwrap();
    assert_eq!(take(&theirs, 4).1.len(), 1, "the other direction still may");
}

#[test]
fn the_limit_of_descriptors_in_a_message() {
    let (ours, theirs) = seqpacket_pair().unwrap();
    let gift = null().unwrap();
    let gifts = vec![gift.as_fd(); MAX_FDS_PER_MESSAGE + 1];
    send(ours.as_fd(), b"x", &gifts[1..]).unwrap();
    assert_eq!(
        take(&theirs, MAX_FDS_PER_MESSAGE).1.len(),
        MAX_FDS_PER_MESSAGE
    );
    let error = send(ours.as_fd(), b"x", &gifts).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let error = send(ours.as_fd(), b"", &gifts[..1]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "no byte to carry it");
}

#[test]
fn a_full_channel_would_block_and_a_dead_one_is_a_broken_pipe() {
    let (ours, theirs) = seqpacket_pair().unwrap();
    set_send_buffer(ours.as_fd(), 8192).unwrap();
    let mut sent = 0;
    let full = loop {
        match send(ours.as_fd(), &RECORD, &[]) {
            Ok(_) => sent += 1,
            Err(error) => break error,
        }
        assert!(sent < 1000);
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    drop(theirs);
    let dead = send(ours.as_fd(), &RECORD, &[]).unwrap_err();
    assert!(matches!(
        dead.kind(),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
    ));
    let dead = send(ours.as_fd(), &RECORD, &[]).unwrap_err();
    assert_eq!(dead.kind(), ErrorKind::BrokenPipe, "and no signal");
}

#[test]
fn a_message_longer_than_the_buffer_is_told() {
    let (ours, theirs) = seqpacket_pair().unwrap();
    send(ours.as_fd(), &[7; 65], &[]).unwrap();
    send(ours.as_fd(), &[7; 64], &[]).unwrap();
    assert_eq!(
        take(&theirs, 0).0,
        Received {
            data_truncated: true,
            ..intact(64)
        }
    );
    assert_eq!(take(&theirs, 0).0, intact(64));
}

#[test]
fn a_shut_down_direction_is_read_to_its_end() {
    for (ours, theirs) in [seqpacket_pair().unwrap(), stream_pair().unwrap()] {
        send(ours.as_fd(), b"last", &[null().unwrap().as_fd()]).unwrap();
        shutdown_write(ours.as_fd()).unwrap();
        let (received, fds) = take(&theirs, 1);
        assert_eq!((received, fds.len()), (intact(4), 1));
        assert_eq!(take(&theirs, 1).0, intact(0));
        send(theirs.as_fd(), b"back", &[]).unwrap();
        assert_eq!(take(&ours, 1).0, intact(4));
        shutdown_both(theirs.as_fd()).unwrap();
        assert_eq!(take(&ours, 1).0, intact(0));
    }
}

#[test]
fn peek_leaves_the_message_and_its_descriptors() {
    let (ours, theirs) = seqpacket_pair().unwrap();
    let mut buf = [0; 4];
    let empty = peek(theirs.as_fd(), &mut buf, Wait::DontWait).unwrap_err();
    assert_eq!(empty.kind(), ErrorKind::WouldBlock);
    send(ours.as_fd(), &RECORD, &[null().unwrap().as_fd()]).unwrap();
    for _ in 0..2 {
        assert_eq!(peek(theirs.as_fd(), &mut buf, Wait::Block).unwrap(), 4);
        assert_eq!(buf, *b"0123");
    }
    let (received, fds) = take(&theirs, 1);
    assert_eq!((received, fds.len()), (intact(16), 1));
    drop(ours);
    assert_eq!(peek(theirs.as_fd(), &mut buf, Wait::Block).unwrap(), 0);
}

#[test]
fn waiting_or_not_is_said_per_call() {
    let (ours, theirs) = seqpacket_pair().unwrap();
    assert!(nothing_there(&theirs));
    let flags = rustix::fs::fcntl_getfl(&theirs).unwrap();
    assert!(!flags.contains(rustix::fs::OFlags::NONBLOCK));
    let waiter = std::thread::spawn(move || {
        let mut fds = Vec::new();
        receive(theirs.as_fd(), &mut [0; 8], &mut fds, 0, Wait::Block).unwrap()
    });
    send(ours.as_fd(), b"now", &[]).unwrap();
    assert_eq!(waiter.join().unwrap(), intact(3));
    set_blocking(ours.as_fd(), Blocking::No).unwrap();
    let none = receive(ours.as_fd(), &mut [0; 8], &mut Vec::new(), 0, Wait::Block);
    assert!(
        matches!(none, Ok(Received { len: 0, .. })),
        "the end, since the thread has closed"
    );
}

#[test]
fn the_maker_of_the_other_end_is_known() {
    let (ours, _theirs) = seqpacket_pair().unwrap();
    let peer = peer_credentials(ours.as_fd()).unwrap();
    assert_eq!(peer.pid.cast_unsigned(), std::process::id());
    assert_eq!(peer.uid, rustix::process::geteuid().as_raw());
    assert_eq!(peer.gid, rustix::process::getegid().as_raw());
    assert!(peer_credentials(null().unwrap().as_fd()).is_err());
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let error = peer_credentials(tcp.as_fd()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(is_socket(ours.as_fd()) && is_socket(tcp.as_fd()));
    assert!(!is_socket(null().unwrap().as_fd()));
}

#[test]
fn a_datagram_socket_is_for_its_owner_and_replaces_a_dead_one() {
    let directory = Directory::new();
    let path = directory.file("notify");
    let first = bind_datagram(&path).unwrap();
    let metadata = std::fs::metadata(&path).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o600);
    assert!(nothing_there(&first), "it does not wait");

    let taken = bind_datagram(&path).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AddrInUse);
    drop(first);
    let second = bind_datagram(&path).unwrap();
    let client = std::os::unix::net::UnixDatagram::unbound().unwrap();
    client.send_to(b"READY=1", &path).unwrap();
    assert_eq!(take(&second, 0).0, intact(7));
}
