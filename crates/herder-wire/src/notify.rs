//! `sd_notify(3)` datagrams: lines of `NAME=value` by which a program that knows nothing of
//! herder says how it fares.
//!
//! The sender is any program in any language, so nothing here is an error: a line that is
//! malformed is skipped, and the others count.

use std::time::Duration;

/// The longest datagram in bytes, as in systemd. Receive with room for one byte more and drop what
/// fills it: a cut line could mean something else.
pub const MAX_DATAGRAM: usize = 4096;

/// One line of a datagram.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Assignment<'a> {
    /// `ERRNO=`: the error number that made the program fail.
    Errno(i32),
    /// `EXTEND_TIMEOUT_USEC=`: starting, reloading or stopping takes this much longer, from now.
    ExtendTimeout(Duration),
    /// `MAINPID=`: the process to watch.
    MainPid(i32),
    /// A well-formed line that herder has no use for.
    Other,
    /// `READY=1`: started, or reloaded.
    Ready,
    /// `RELOADING=1`: is reading its configuration again.
    Reloading,
    /// `STATUS=`: a line for the operator. It may hold control characters; escape when shown.
    Status(&'a str),
    /// `STOPPING=1`: is about to end.
    Stopping,
    /// `WATCHDOG=1`: still alive.
    Watchdog,
    /// `WATCHDOG=trigger`: asks to be treated as hung.
    WatchdogTrigger,
}

/// The assignments of one datagram, in order.
#[must_use = "an iterator does nothing until it is asked"]
pub fn parse(datagram: &[u8]) -> Notification<'_> {
    Notification { rest: datagram }
}

/// Iterator over the well-formed lines of a datagram; allocates nothing.
#[derive(Clone, Debug)]
pub struct Notification<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Notification<'a> {
    type Item = Assignment<'a>;

    fn next(&mut self) -> Option<Assignment<'a>> {
        while !self.rest.is_empty() {
            let end = self.rest.iter().position(|byte| *byte == b'\n');
            let (line, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
            self.rest = rest.get(1..).unwrap_or_default();
            if let Some(assignment) = parse_line(line) {
                return Some(assignment);
            }
        }
        None
    }
}

fn parse_line(line: &[u8]) -> Option<Assignment<'_>> {
    let equals = line.iter().position(|byte| *byte == b'=')?;
    let (name, value) = (&line[..equals], &line[equals + 1..]);
    match name {
        b"ERRNO" => number(value).map(Assignment::Errno),
        b"EXTEND_TIMEOUT_USEC" => {
            number(value).map(|micros| Assignment::ExtendTimeout(Duration::from_micros(micros)))
        }
        b"MAINPID" => number(value)
            .filter(|pid| *pid > 0)
            .map(Assignment::MainPid),
        b"READY" => (value == b"1").then_some(Assignment::Ready),
        b"RELOADING" => (value == b"1").then_some(Assignment::Reloading),
        b"STATUS" => std::str::from_utf8(value).ok().map(Assignment::Status),
        b"STOPPING" => (value == b"1").then_some(Assignment::Stopping),
        b"WATCHDOG" => match value {
            b"1" => Some(Assignment::Watchdog),
            b"trigger" => Some(Assignment::WatchdogTrigger),
            _ => None,
        },
        _ => is_name(name).then_some(Assignment::Other),
    }
}

/// An unsigned decimal number without a sign, which `str::parse` alone would accept.
fn number<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn is_name(name: &[u8]) -> bool {
    !name.is_empty()
        && name
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}
