//! At the limit of open descriptors: nothing is lost without a word, and a reserve makes room.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "support/own_process.rs"]
mod own_process;

use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};

use herder_sys::fd::{Reserve, duplicate, null};
use herder_sys::listener::{
    AcceptError, Address, BoundAddress, ListenOptions, Listener, accept, accept_error,
};
use herder_sys::socket::{Received, Wait, is_too_many_refs, receive, send, seqpacket_pair};
use own_process::in_own_process;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Lowers the limit and uses up all descriptors but `free`.
fn exhaust(free: usize) -> Vec<OwnedFd> {
    limit(128);
    let filler = null().unwrap();
    let mut held = vec![filler];
    while let Ok(copy) = duplicate(held[0].as_fd()) {
        held.push(copy);
    }
    held.truncate(held.len() - free);
    held
}

fn limit(open_files: u64) {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(open_files),
            maximum,
        },
    )
    .unwrap();
}

fn take(fd: &OwnedFd) -> (Received, Vec<OwnedFd>) {
    let mut fds = Vec::new();
    let received = receive(fd.as_fd(), &mut [0; 16], &mut fds, 4, Wait::DontWait).unwrap();
    (received, fds)
}

#[test]
fn what_finds_no_place_is_told_as_lost() {
    in_own_process("what_finds_no_place_is_told_as_lost", || {
        let (ours, theirs) = seqpacket_pair().unwrap();
        let gift = null().unwrap();
        for free in [0, 1, 3, 4] {
            send(ours.as_fd(), b"four", &[gift.as_fd(); 4]).unwrap();
            let held = exhaust(free);
            let (received, fds) = take(&theirs);
            assert_eq!(fds.len(), free);
            assert_eq!(received.len, 4, "the bytes arrive in any case");
            assert_eq!(received.descriptors_lost, free < 4, "{free} free");
            drop(held);
        }
    });
}

#[test]
fn a_reserve_makes_room_at_the_limit() {
    in_own_process("a_reserve_makes_room_at_the_limit", || {
        let (ours, theirs) = seqpacket_pair().unwrap();
        let gift = null().unwrap();
        let mut reserve = Reserve::new(4).unwrap();
        let _held = exhaust(0);
        send(ours.as_fd(), b"four", &[gift.as_fd(); 4]).unwrap();
        reserve.release();
        let (received, mut fds) = take(&theirs);
        assert!(!received.descriptors_lost);
        assert_eq!(fds.len(), 4);

        assert_eq!(reserve.refill(), 4, "all places are taken now");
        fds.truncate(1);
        assert_eq!(reserve.refill(), 1);
        fds.clear();
        assert_eq!(reserve.refill(), 0);
        assert_eq!(reserve.refill(), 0);
        let error = duplicate(gift.as_fd()).unwrap_err();
        assert_eq!(
            error.raw_os_error(),
            Some(libc::EMFILE),
            "the reserve is full again"
        );
        assert!(Reserve::new(1).is_err());
    });
}

#[test]
fn an_accept_without_descriptors_is_recognised_and_loses_nothing() {
    in_own_process(
        "an_accept_without_descriptors_is_recognised_and_loses_nothing",
        || {
            let address = Address::Tcp {
                host: Some("127.0.0.1"),
                port: 0,
            };
            let listener = Listener::bind(address, &ListenOptions::default()).unwrap();
            let BoundAddress::Tcp(local) = *listener.local() else {
                unreachable!()
            };
            let _client = std::net::TcpStream::connect(local).unwrap();
            let mut held = exhaust(0);
            let error = accept(listener.as_fd()).unwrap_err();
            assert_eq!(accept_error(&error), AcceptError::OutOfDescriptors);
            assert!(listener.has_waiting(), "the connection is still there");
            held.pop();
            accept(listener.as_fd()).unwrap();
        },
    );
}

#[test]
fn too_many_on_the_way_is_recognised() {
    in_own_process("too_many_on_the_way_is_recognised", || {
        // Root may send as many as it likes, so the child becomes somebody else for good.
        if rustix::process::geteuid().is_root() {
            let somebody = rustix::process::Uid::from_raw(NOBODY);
            rustix::thread::set_thread_res_uid(somebody, somebody, somebody).unwrap();
        }
        limit(64);
        let (ours, theirs) = seqpacket_pair().unwrap();
        let gift = null().unwrap();
        let error = (0..100)
            .find_map(|_| send(ours.as_fd(), b"x", &[gift.as_fd(); 4]).err())
            .expect("a limit");
        assert!(is_too_many_refs(&error), "{error}");
        assert_ne!(error.kind(), ErrorKind::WouldBlock);
        while receive(
            theirs.as_fd(),
            &mut [0; 1],
            &mut Vec::new(),
            4,
            Wait::DontWait,
        )
        .is_ok()
        {}
        send(ours.as_fd(), b"x", &[gift.as_fd(); 4]).unwrap();
    });
}

/// A user that has nothing on its way elsewhere: the count is per user.
const NOBODY: u32 = 64_321;
