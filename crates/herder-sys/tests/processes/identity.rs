//! Who a child is and what it may.

use std::path::Path;

use herder_sys::apply::{self, Limit};
use herder_sys::user::{self, Identity};
use herder_sys::{env, limits, process, sched};

use crate::scene::act;

fn nobody() -> Identity {
    Identity {
        uid: 65_534,
        gid: 65_533,
        groups: vec![65_533, 4_242],
    }
}

pub(crate) fn become_nobody() {
    let nobody = nobody();
    apply::become_user(&nobody).unwrap();
    // SAFETY: takes a number only.
    assert_ne!(unsafe { libc::setuid(0) }, 0, "root is back");
    // SAFETY: takes a number only.
    assert_ne!(unsafe { libc::setgid(0) }, 0, "the group of root is back");
    let groups: Vec<u32> = rustix::process::getgroups()
        .unwrap()
        .iter()
        .map(|gid| gid.as_raw())
        .collect();
    assert_eq!(groups, [4_242, 65_533]);
    assert!(!user::is_root());
    // To become what one is already is no error, to become anybody else is.
    apply::become_user(&nobody).unwrap();
    let root = Identity {
        uid: 0,
        gid: 0,
        groups: vec![0],
    };
    assert!(apply::become_user(&root).is_err());
    println!(
        "{} {}",
        rustix::process::getuid().as_raw(),
        rustix::process::getegid().as_raw()
    );
}

pub(crate) fn nobody_stays_nobody() {
    if !user::is_root() {
        println!("skipped: only root can become somebody else");
        return;
    }
    assert_eq!(act("become-nobody", &[]).finish(), "65534 65533\n");
}

/// The state of a hardened master: not root, and hidden from its own user.
pub(crate) fn launch_as_nobody() {
    if user::is_root() {
        apply::become_user(&nobody()).unwrap();
    }
    process::set_not_dumpable().unwrap();
    process::become_subreaper().unwrap();
    assert_eq!(process::thread_count().unwrap(), 1);
    assert_eq!(act("show-descriptors", &[]).finish(), "[0, 1, 2]\n");
    assert_eq!(process::children().unwrap(), []);
    println!("launched");
}

pub(crate) fn hidden_nobody_launches() {
    assert_eq!(act("launch-as-nobody", &[]).finish(), "launched\n");
}

/// Everything at once, seen by the program that comes after it.
pub(crate) fn settle() {
    sched::batch_this_thread().unwrap();
    apply::reset_scheduling().unwrap();
    apply::set_limit(Limit::Core, 0, 0).unwrap();
    apply::set_limit(Limit::OpenFiles, 123, 456).unwrap();
    assert_eq!(limits::open_files(), (123, 456));
    apply::set_umask(0o077);
    apply::change_directory(Path::new("/proc")).unwrap();
    apply::no_new_privileges().unwrap();
    let script = "ulimit -c; ulimit -Sn; ulimit -Hn; umask; pwd; sed -n 's/NoNewPrivs:.//p' /proc/self/status";
    let argv = ["sh".into(), "-c".into(), script.into()];
    let environment = [("PATH".into(), "/usr/bin:/bin".into())];
    panic!("{}", apply::execute(Path::new("sh"), &argv, &environment));
}

pub(crate) fn settles_before_it_executes() {
    assert_eq!(act("settle", &[]).finish(), "0\n123\n456\n0077\n/proc\n1\n");
}

/// Replaces the environment, and is refused once there is a second thread.
pub(crate) fn replace_environment() {
    env::replace_environment([("A".into(), "1".into()), ("B".into(), "x=y".into())]).unwrap();
    env::remove("A").unwrap();
    env::remove("never there").unwrap();
    let all: Vec<_> = std::env::vars().collect();
    assert_eq!(all, [("B".to_owned(), "x=y".to_owned())]);

    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || stopped.recv());
    assert_eq!(process::thread_count().unwrap(), 2);
    assert!(env::replace_environment([]).is_err());
    assert!(env::remove("B").is_err());
    assert!(apply::place(Vec::new()).is_err());
    assert!(apply::close_all_except(&[]).is_err());
    assert!(apply::become_user(&nobody()).is_err());
    assert!(herder_sys::title::prepare().is_err());
    assert_eq!(std::env::var("B").unwrap(), "x=y");
    drop(stop);
    assert!(thread.join().unwrap().is_err());
}

pub(crate) fn environment_is_replaced() {
    assert_eq!(act("replace-environment", &[]).finish(), "");
}
