//! Deaths, as descriptors tell them.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use herder_sys::epoll::{Epoll, Events, Interest};
use herder_sys::pipe::pipe;
use herder_sys::process::{self, Executable, Launch};
use herder_sys::signal::Signal;

use crate::scene::shell;

pub(crate) fn how_a_child_ended() {
    assert_eq!(shell("exit 7").status().code(), Some(7));
    assert_eq!(shell("kill -9 $$").status().signal(), Some(9));

    let mut waiting = shell("read line");
    assert_eq!(waiting.child.pidfd.wait().unwrap(), None);
    waiting.child.pidfd.signal(Signal::Terminate).unwrap();
    let status = waiting.status();
    assert_eq!(
        (status.code(), status.signal()),
        (None, Some(libc::SIGTERM))
    );

    // Reaped: neither a second status nor a signal to whoever has the number now.
    let again = waiting.child.pidfd.wait().unwrap_err();
    assert_eq!(again.raw_os_error(), Some(libc::ECHILD));
    let late = waiting.child.pidfd.signal(Signal::Kill).unwrap_err();
    assert_eq!(late.raw_os_error(), Some(libc::ESRCH));
}

pub(crate) fn r15_simultaneous_deaths() {
    const MANY: u64 = 60;
    let cat = Executable::open("/bin/cat").unwrap();
    // They all read from one pipe, so that closing it ends them all at the same moment.
    let (gate, opener) = pipe().unwrap();
    let epoll = Epoll::new().unwrap();
    let mut living = BTreeMap::new();
    for token in 0..MANY {
        let launch = Launch {
            executable: &cat,
            argv0: "cat".into(),
            args: &[],
            environment: Vec::new(),
            stdin: gate.try_clone().unwrap(),
            stdout: None,
            stderr: None,
        };
        let child = process::launch(launch).unwrap();
        epoll
            .add(child.pidfd.as_fd(), token, Interest::READABLE)
            .unwrap();
        living.insert(token, child);
    }
    drop(opener);
    let mut events = Events::with_capacity(8);
    let deadline = Instant::now() + Duration::from_secs(20);
    while !living.is_empty() {
        // A wait that was interrupted has no events.
        epoll
            .wait(&mut events, Some(Duration::from_secs(20)))
            .unwrap();
        assert!(
            Instant::now() < deadline,
            "{} deaths were not told",
            living.len()
        );
        for event in events.iter() {
            // A second event of the same child would find nothing here.
            let child = living
                .remove(&event.token)
                .expect("each death is told once");
            epoll.remove(child.pidfd.as_fd()).unwrap();
            let status = child.pidfd.wait().unwrap().expect("an event means a death");
            assert!(status.success(), "{status}");
        }
    }
    assert_eq!(process::children().unwrap(), []);
}
