//! Signals: inherited by default, gone after a reset, received as events.

use std::ffi::OsString;
use std::path::Path;

use herder_sys::pidfd::PidFd;
use herder_sys::process::{self, Executable, Launch};
use herder_sys::signal::{self, Signal, SignalFd};
use herder_sys::{apply, fd};
use rustix::event::PollFlags;

use crate::scene::{act, readable, role};

/// Blocks and ignores a few signals and starts a child that becomes another program.
pub(crate) fn hand_down() {
    let _blocked = SignalFd::block(&[Signal::Terminate, Signal::User1]).unwrap();
    // SAFETY: ignoring a signal installs no code.
    unsafe { libc::signal(libc::SIGHUP, libc::SIG_IGN) };
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let own = Executable::current().unwrap();
    let launch = Launch {
        executable: &own,
        argv0: "child".into(),
        args: &args,
        environment: role("exec-status"),
        stdin: fd::null().unwrap(),
        stdout: None,
        stderr: None,
    };
    let child = process::launch(launch).unwrap();
    assert!(child.pidfd.wait_until_dead().unwrap().success());
}

/// Becomes a program that shows what it inherited, after a reset when asked for one.
pub(crate) fn exec_status() {
    if std::env::args().nth(1).as_deref() == Some("reset") {
        signal::reset_all().unwrap();
    }
    let environment: Vec<_> = std::env::vars_os().collect();
    let argv = ["cat".into(), "/proc/self/status".into()];
    panic!("{}", apply::execute(Path::new("cat"), &argv, &environment));
}

fn inherited(args: &[&str]) -> (u64, u64) {
    let status = act("hand-down-signals", args).finish();
    let field = |name: &str| {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap();
        u64::from_str_radix(line.trim_start_matches(':').trim(), 16).unwrap()
    };
    (field("SigBlk"), field("SigIgn"))
}

pub(crate) fn end_at_reset() {
    let bit = |signal: Signal| 1_u64 << (signal.number() - 1);
    let (blocked, ignored) = inherited(&[]);
    let both = bit(Signal::Terminate) | bit(Signal::User1);
    assert_eq!(
        blocked & both,
        both,
        "without a reset the mask is inherited"
    );
    assert_ne!(
        ignored & bit(Signal::Hangup),
        0,
        "without a reset ignored signals are inherited"
    );
    let (blocked, ignored) = inherited(&["reset"]);
    // 32 and 33 are the C library's own; it gives them handlers itself when it needs them.
    let ignored = ignored & !(0b11 << 31);
    assert_eq!((blocked, ignored), (0, 0));
}

/// Receives its own signals.
pub(crate) fn receive() {
    let signals = SignalFd::block(&[Signal::User1, Signal::Terminate]).unwrap();
    assert_eq!(signals.read().unwrap(), None);
    let own = PidFd::open(process::current_pid()).unwrap();
    for sent in [Signal::User1, Signal::Terminate] {
        own.signal(sent).unwrap();
        assert!(readable(&signals, PollFlags::IN));
        assert_eq!(signals.read().unwrap(), Some(sent));
    }
    assert_eq!(signals.read().unwrap(), None);
    // A blocked signal waits, and the reset lets it strike.
    own.signal(Signal::Terminate).unwrap();
    println!("still here");
    signal::reset_all().unwrap();
    println!("never printed");
}

pub(crate) fn arrive_as_events() {
    use std::os::unix::process::ExitStatusExt;
    let mut actor = act("receive-signals", &[]);
    assert_eq!(actor.line(), "still here");
    assert_eq!(actor.status().signal(), Some(libc::SIGTERM));
    assert_eq!(actor.line(), "");
}
