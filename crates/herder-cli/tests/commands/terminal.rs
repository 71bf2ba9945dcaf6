//! A terminal, at which a command runs.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// Runs a command at a terminal of so many columns; says what stands on it in the end, with all that it was
/// told, and the exit status. What is typed lies there before the command looks.
pub(crate) fn run(command: &mut Command, columns: u16, typed: &str) -> (String, Option<i32>) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&ours).expect("ours");
    unlockpt(&ours).expect("ours");
    let name = ptsname(&ours, Vec::new()).expect("a name");
    let name = name.to_str().expect("ASCII");
    let mut options = File::options();
    let theirs = options.read(true).write(true).open(name);
    let theirs = OwnedFd::from(theirs.expect("the other end"));
    let size = Winsize {
        ws_row: 24,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&theirs, size).expect("it is a terminal");
    let end = || Stdio::from(theirs.try_clone().expect("a descriptor"));
    command.stdin(end()).stdout(end()).stderr(end());
    let mut ours = File::from(ours);
    ours.write_all(typed.as_bytes()).expect("it is taken");
    let mut child = command.spawn().expect("the command is there");
    // What the command holds is its descriptors alone.
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    drop(theirs);
    let mut all = Vec::new();
    let mut piece = [0; 4096];
    // When nobody has the other end any more, that is an error.
    while let Ok(length @ 1..) = ours.read(&mut piece) {
        all.extend_from_slice(&piece[..length]);
    }
    let status = child.wait().expect("ours");
    (String::from_utf8_lossy(&all).into_owned(), status.code())
}

/// What stands there in the end: what was drawn for a moment is left out.
pub(crate) fn what_stays(text: &str) -> String {
    let text = text.replace("\x1b[?7l", "").replace("\x1b[?7h", "");
    let mut lines: Vec<String> = Vec::new();
    for line in text.replace("\r\n", "\n").lines() {
        let mut line = line;
        // So many lines up, and everything from there on away.
        while let Some((count, rest)) = erasure(line) {
            lines.truncate(lines.len().saturating_sub(count));
            line = rest;
        }
        lines.push(line.to_owned());
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// How many lines are taken away at the beginning of a line, and the rest of it.
fn erasure(line: &str) -> Option<(usize, &str)> {
    let (count, rest) = line.strip_prefix("\x1b[")?.split_once("A\r\x1b[J")?;
    Some((count.parse().ok()?, rest))
}
