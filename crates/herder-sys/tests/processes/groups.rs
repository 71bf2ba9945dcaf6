//! Whoever a child started goes with it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use herder_sys::cgroup::{self, CgroupRoot};
use herder_sys::pidfd::PidFd;
use herder_sys::process::{self, Birthplace, Child, Executable, Launch};
use herder_sys::signal::Signal;
use herder_sys::{apply, fd, pipe};
use rustix::event::PollFlags;

use crate::scene::{TempDir, act, readable, role, shell};

pub(crate) fn r14_group_dies() {
    let mut actor = shell("sleep 1000 & echo $!; wait");
    let grandchild = PidFd::open(actor.line().parse().unwrap()).unwrap();
    process::signal_group(actor.child.pid, Signal::Kill).unwrap();
    assert_eq!(actor.status().signal(), Some(9));
    assert!(
        readable(&grandchild, PollFlags::IN),
        "the grandchild lives on"
    );
}

/// Starts somebody who leaves the process group, as soon as it is told to.
pub(crate) fn detach() {
    std::io::stdin().read_line(&mut String::new()).unwrap();
    let mut command = Command::new("/proc/self/exe");
    command.envs(role("detached")).stdin(Stdio::null());
    let status = command.status().unwrap();
    assert!(status.success(), "{status}");
}

/// In a session of its own it tells its number and goes on for long.
pub(crate) fn detached() {
    rustix::process::setsid().unwrap();
    println!("{}", process::current_pid());
    let environment: Vec<_> = std::env::vars_os().collect();
    let argv = ["sleep".into(), "1000".into()];
    panic!(
        "{}",
        apply::execute(Path::new("sleep"), &argv, &environment)
    );
}

/// Removes the groups of a test, however it ends.
struct Cleanup(CgroupRoot);

impl Drop for Cleanup {
    fn drop(&mut self) {
        let _tested_already = self.0.remove_all();
    }
}

pub(crate) fn r14_cgroup_catches() {
    let name = format!("herder-sys-test-{}", process::current_pid());
    let place = CgroupRoot::place_of(&name).unwrap();
    let Some(root) = CgroupRoot::create(&name).unwrap() else {
        println!("skipped: no writable version 2 control group here");
        return;
    };
    assert_eq!(place.as_deref(), Some(root.path()));
    let root = Cleanup(root);
    let group = root.0.child("worker").unwrap();
    assert!(!group.is_populated().unwrap());

    let mut actor = act("detach", &[]);
    group.add(actor.child.pid).unwrap();
    std::fs::File::from(actor.input.take().unwrap())
        .write_all(b"go\n")
        .unwrap();
    let grandchild = PidFd::open(actor.line().parse().unwrap()).unwrap();
    assert!(group.is_populated().unwrap());
    assert_eq!(group.remove().unwrap_err().kind(), ErrorKind::ResourceBusy);

    process::signal_group(actor.child.pid, Signal::Kill).unwrap();
    assert_eq!(actor.status().signal(), Some(9));
    assert!(
        group.is_populated().unwrap(),
        "the group kill does not reach another session"
    );
    assert_eq!(
        CgroupRoot::create(&name).unwrap_err().kind(),
        ErrorKind::AlreadyExists
    );

    group.kill().unwrap();
    assert!(
        readable(&grandchild, PollFlags::IN),
        "the grandchild lives on"
    );
    assert_eq!(group.oom_kills().unwrap_or(0), 0);
    root.0.remove_all().unwrap();
    assert!(!root.0.path().exists());
    cgroup::remove_tree(root.0.path()).unwrap();

    // An earlier run that left its directory behind does not stop the next one.
    let again = CgroupRoot::create(&name)
        .unwrap()
        .expect("it was possible before");
    let taken_over = CgroupRoot::create(&name)
        .unwrap()
        .expect("it was possible before");
    assert_eq!(again.path(), taken_over.path());
}

/// What a shell is to be started as, and where its output is read.
fn told<'a>(shell: &'a Executable, args: &'a [OsString]) -> (Launch<'a>, File) {
    let (reader, writer) = pipe::pipe().unwrap();
    let launch = Launch {
        executable: shell,
        argv0: "born".into(),
        args,
        environment: vec![("HERDER_SYS_ADDED".into(), "yes".into())],
        stdin: fd::null().unwrap(),
        stdout: Some(writer),
        stderr: None,
    };
    (launch, reader.into())
}

pub(crate) fn r14_born_inside() {
    let name = format!("herder-sys-born-{}", process::current_pid());
    let Some(root) = CgroupRoot::create(&name).unwrap() else {
        println!("skipped: no writable version 2 control group here");
        return;
    };
    let root = Cleanup(root);
    let group = root.0.child("worker").unwrap();
    // The fifth field of `stat` is the process group. The shell reads its signals itself: while it starts
    // another program it blocks them all, and the other one may look before that is over.
    let script = "echo $0 $HERDER_SYS_ADDED ${PATH:+path}; \
                  [ $(cut -d' ' -f5 /proc/$$/stat) = $$ ] && echo own group; \
                  ls /proc/$$/fd; \
                  while read -r line; do case $line in Sig*) echo \"$line\";; esac; done </proc/$$/status; \
                  grep ^0:: /proc/$$/cgroup";
    let args: [OsString; 2] = ["-c".into(), script.into()];
    let shell = Executable::open("/bin/sh").unwrap();
    let before = fd::open_count().unwrap();
    let said = |child: &Child, output: File| {
        let text = std::io::read_to_string(output).unwrap();
        assert_eq!(child.pidfd.wait_until_dead().unwrap().code(), Some(0));
        text
    };
    let (launch, output) = told(&shell, &args);
    let (child, place) = process::launch_inside(launch, &group).unwrap();
    let inside = said(&child, output);
    if place == Birthplace::Outside {
        println!("skipped: this kernel has no births in groups");
        return;
    }
    let (launch, output) = told(&shell, &args);
    let outside = said(&process::launch(launch).unwrap(), output);
    let place = |text: &str| text.lines().last().unwrap().to_owned();
    assert!(place(&inside).ends_with(&format!("/{name}/worker")));
    assert!(
        inside.starts_with("born yes path\nown group\n0\n1\n2\n"),
        "{inside}"
    );
    let rest = |text: &str| text.replace(&place(text), "");
    assert_eq!(rest(&inside), rest(&outside));

    let passwd = Executable::open("/etc/passwd").unwrap();
    let (launch, output) = told(&passwd, &args);
    let error = process::launch_inside(launch, &group).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EACCES));
    assert_eq!(process::children().unwrap(), []);
    drop((child, output));
    assert_eq!(fd::open_count().unwrap(), before + 1, "the passwd's");
}

pub(crate) fn remove_tree_refuses() {
    let dir = TempDir::new("herder-sys-no-cgroup");
    let error = cgroup::remove_tree(dir.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(dir.path().exists());
    for name in ["", ".", "..", "a/b", "/a", "a/", "cgroup.procs", "a\nb"] {
        let error = CgroupRoot::create(name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name:?}");
    }
}

/// Adopts the child of a child and finds it among its own.
pub(crate) fn adopt_orphans() {
    process::become_subreaper().unwrap();
    let mut parent = shell("sleep 1000 & echo $!");
    let orphan: i32 = parent.line().parse().unwrap();
    assert!(parent.status().success());
    assert_eq!(process::children().unwrap(), [orphan]);
    assert_eq!(process::dead_child().unwrap(), None);
    assert_eq!(process::reap().unwrap(), None);

    let handle = PidFd::open(orphan).unwrap();
    handle.signal(Signal::Kill).unwrap();
    assert!(readable(&handle, PollFlags::IN));
    assert_eq!(process::dead_child().unwrap(), Some(orphan));
    assert_eq!(
        process::children().unwrap(),
        [orphan],
        "looking does not reap"
    );
    let (pid, status) = process::reap().unwrap().expect("one is dead");
    assert_eq!((pid, status.signal()), (orphan, Some(9)));
    assert_eq!(process::reap().unwrap(), None);
    assert_eq!(
        process::reap_child(orphan).unwrap_err().raw_os_error(),
        Some(libc::ECHILD)
    );
}

pub(crate) fn r14_orphans() {
    assert_eq!(act("adopt-orphans", &[]).finish(), "");
}

/// Was started by somebody who ignores SIGCHLD, which would lose every status.
pub(crate) fn count_exits() {
    // SAFETY: ignoring a signal installs no code.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    let sh = Executable::open("/bin/sh").unwrap();
    let args = ["-c".into(), "exit 3".into()];
    let child = process::launch(process::Launch {
        executable: &sh,
        argv0: "sh".into(),
        args: &args,
        environment: Vec::new(),
        stdin: fd::null().unwrap(),
        stdout: None,
        stderr: None,
    });
    assert_eq!(
        child.unwrap().pidfd.wait_until_dead().unwrap().code(),
        Some(3)
    );
}

pub(crate) fn statuses_survive() {
    assert_eq!(act("count-exits", &[]).finish(), "");
}
