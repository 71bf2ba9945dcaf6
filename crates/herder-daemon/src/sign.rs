//! What the daemon proper tells its guard under a service manager, after its announcement: the guard is
//! the process that the manager listens to. One a line, on the daemon proper's stdout.

use std::os::fd::{AsFd, OwnedFd};

use herder_sys::fd;

/// The longest text that is passed on.
const LONGEST: usize = 200;

/// A sign.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Sign {
    /// Its loop has turned.
    Beat,
    /// It reloads its apps.
    Reloading,
    /// It has, and how that went.
    Reloaded(String),
    /// It ends.
    Stopping,
}

impl Sign {
    /// As a line.
    fn line(&self) -> String {
        match self {
            Sign::Beat => "beat\n".to_owned(),
            Sign::Reloading => "reloading\n".to_owned(),
            Sign::Reloaded(how) => format!("reloaded {}\n", plain(how)),
            Sign::Stopping => "stopping\n".to_owned(),
        }
    }

    /// Reads a line. None = another build says something new.
    pub(crate) fn parse(line: &[u8]) -> Option<Sign> {
        let line = std::str::from_utf8(line).ok()?;
        match line.split_once(' ') {
            Some(("reloaded", how)) => Some(Sign::Reloaded(plain(how))),
            Some(_) => None,
            None => match line {
                "beat" => Some(Sign::Beat),
                "reloading" => Some(Sign::Reloading),
                "stopping" => Some(Sign::Stopping),
                _ => None,
            },
        }
    }
}

/// One line, whatever it was.
fn plain(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(LONGEST).collect()
}

/// Where signs are given. Nobody who hears them = they are not given.
#[derive(Debug, Default)]
pub(crate) struct Signs(Option<OwnedFd>);

impl Signs {
    /// On this pipe.
    pub(crate) fn on(pipe: OwnedFd) -> Signs {
        // The other end has flags of its own. A guard that does not read must not make us wait.
        let is_free = fd::set_blocking(pipe.as_fd(), fd::Blocking::No).is_ok();
        Signs(is_free.then_some(pipe))
    }

    /// Gives one.
    pub(crate) fn give(&self, sign: &Sign) {
        if let Some(pipe) = &self.0 {
            // A guard that is dead is followed by another, with another daemon proper.
            let _unheard = rustix::io::write(pipe, sign.line().as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn signs_are_understood_at_the_other_end() {
        let (reader, writer) = herder_sys::pipe::pipe().unwrap();
        let signs = Signs::on(writer);
        let given = [
            Sign::Beat,
            Sign::Reloading,
            Sign::Reloaded("3 apps reloaded".to_owned()),
            Sign::Stopping,
        ];
        for sign in &given {
            signs.give(sign);
        }
        drop(signs);
        let mut text = Vec::new();
        std::fs::File::from(reader).read_to_end(&mut text).unwrap();
        let lines = text.split(|byte| *byte == b'\n');
        let heard: Vec<Sign> = lines.filter_map(Sign::parse).collect();
        assert_eq!(heard, given);
    }

    #[test]
    fn what_is_no_sign_is_none_and_no_text_becomes_two_lines() {
        for line in ["", "beat ", "Beat", "beat\r", "ready", "reloaded"] {
            assert_eq!(Sign::parse(line.as_bytes()), None, "{line:?}");
        }
        assert_eq!(Sign::parse(b"\xff"), None);
        let evil = Sign::Reloaded(format!("a\nREADY=1\0{}", "x".repeat(999)));
        let line = evil.line();
        assert_eq!(line.matches('\n').count(), 1);
        assert!(line.len() < 300 && !line.contains('\0'));
    }

    #[test]
    fn a_guard_that_does_not_read_is_not_waited_for() {
        let (reader, writer) = herder_sys::pipe::pipe().unwrap();
        let signs = Signs::on(writer);
        for _ in 0..100_000 {
            signs.give(&Sign::Beat);
        }
        drop(reader);
        signs.give(&Sign::Beat);
    }
}
