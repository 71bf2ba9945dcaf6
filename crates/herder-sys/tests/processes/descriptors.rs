//! Descriptors at exact numbers, and no others.

use std::io::Write;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::path::Path;

use herder_sys::apply;
use herder_sys::pipe::pipe;

use crate::scene::{act, role};

/// A readable end with this text and then the end of file in it.
fn with_text(text: &str) -> OwnedFd {
    let (read, write) = pipe().unwrap();
    std::fs::File::from(write)
        .write_all(text.as_bytes())
        .unwrap();
    read
}

/// Takes ownership of a descriptor that was placed before.
fn owned(number: RawFd) -> OwnedFd {
    // SAFETY: placed by this process a moment ago, and owned by nobody.
    unsafe { OwnedFd::from_raw_fd(number) }
}

fn become_shell(command: &str) -> ! {
    let environment: Vec<_> = std::env::vars_os().collect();
    let argv = ["sh".into(), "-c".into(), command.into()];
    panic!(
        "{}",
        apply::execute(Path::new("/bin/sh"), &argv, &environment)
    );
}

/// Exchanges 3 and 4 and moves 5 onto 6, which moves onto 5's neighbour.
pub(crate) fn swap() {
    let start = ["three ", "four ", "five ", "six "].map(with_text);
    // Far away first, so that the numbers of the second step are known.
    let far = start.into_iter().zip(50..).collect();
    apply::place(far).unwrap();
    apply::place((50..54).map(owned).zip(3..).collect()).unwrap();
    let crossed = [(3, 4), (4, 3), (5, 6), (6, 7)];
    apply::place(crossed.map(|(from, to)| (owned(from), to)).into()).unwrap();
    become_shell("cat <&3; cat <&4; cat <&6; cat <&7");
}

pub(crate) fn descriptors_change_places() {
    assert_eq!(act("swap", &[]).finish(), "four three five six ");
}

/// Hands on a descriptor at the number that it has, and is refused what makes no sense.
pub(crate) fn keep_place() {
    let fd = with_text("here");
    apply::place(vec![(fd, 9)]).unwrap();
    let fd = owned(9);
    let flags = rustix::io::FdFlags::CLOEXEC;
    rustix::io::fcntl_setfd(&fd, flags).unwrap();
    apply::place(vec![(fd, 9)]).unwrap();
    assert!(apply::place(vec![(with_text(""), -1)]).is_err());
    assert!(apply::place(vec![(with_text(""), 12), (with_text(""), 12)]).is_err());
    apply::replace_stdin_with_null().unwrap();
    become_shell("cat; cat <&9");
}

pub(crate) fn already_in_place() {
    // Its stdin still has a writer, so that only /dev/null lets the first `cat` end.
    let mut actor = act("keep-place", &[]);
    assert!(actor.status().success());
    assert_eq!(actor.line(), "here");
}

/// Opens a lot without close-on-exec, keeps two, and shows what the next program gets.
pub(crate) fn close_the_rest() {
    let fds = (0..8)
        .map(|_| with_text(""))
        .zip((3..).step_by(5))
        .collect();
    apply::place(fds).unwrap();
    apply::close_all_except(&[13, 3, 13, 1]).unwrap();
    become_role("show-descriptors");
}

/// Becomes this program in another role: of two variables with one name, the first counts.
fn become_role(name: &str) -> ! {
    let environment: Vec<_> = role(name).into_iter().chain(std::env::vars_os()).collect();
    let own = Path::new("/proc/self/exe");
    panic!("{}", apply::execute(own, &["tests".into()], &environment));
}

/// Prints the numbers of all open descriptors, opening none for it.
pub(crate) fn show() {
    // SAFETY: asks about a number; EBADF is an answer.
    let open = |number: &RawFd| unsafe { libc::fcntl(*number, libc::F_GETFD) } >= 0;
    let found: Vec<RawFd> = (0..4096).filter(open).collect();
    println!("{found:?}");
}

pub(crate) fn r53_exactly_the_kept() {
    assert_eq!(act("close-the-rest", &[]).finish(), "[0, 1, 2, 3, 13]\n");
}

pub(crate) fn r53_three_descriptors() {
    let _open_in_the_parent = [with_text(""), with_text("")];
    assert_eq!(act("show-descriptors", &[]).finish(), "[0, 1, 2]\n");
}
