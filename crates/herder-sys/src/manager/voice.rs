//! What a service has to say to its manager: said in order, without ever waiting, and again if the
//! manager is behind.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use super::{Manager, Service};
use crate::{clock, process};

/// How much waits for a manager that does not read. Beyond it the oldest is dropped.
const MAX_WAITING: usize = 64;

/// How long a service waits until it tries again.
const RETRY: Duration = Duration::from_millis(100);

/// What a successor in the same process needs, to be heard as well.
const KEPT: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"];

/// A service's voice. Without a manager it is silent.
#[derive(Debug, Default)]
pub struct Voice {
    manager: Option<Manager>,
    variables: Vec<(OsString, OsString)>,
    watchdog: Option<Watchdog>,
    waiting: VecDeque<Message>,
    retry_at: Option<Instant>,
    trust: Trust,
}

/// Whether the manager could be told the last thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Trust {
    Broken,
    #[default]
    Whole,
}

#[derive(Debug)]
struct Watchdog {
    limit: Duration,
    next: Instant,
}

impl Watchdog {
    /// Twice as often as the manager wants it.
    fn wind(&mut self, now: Instant) {
        self.next = now + self.limit / 2;
    }
}

#[derive(Debug)]
struct Message {
    text: String,
    fd: Option<OwnedFd>,
}

impl Voice {
    /// Takes what the service manager has given: a voice, and the descriptors that it holds for us. See
    /// [`Service::take`].
    ///
    /// # Errors
    /// Those of [`Service::take`].
    pub fn take() -> io::Result<(Voice, Vec<(String, OwnedFd)>)> {
        let found = KEPT.map(|name| Some((OsString::from(name), std::env::var_os(name)?)));
        let given = Service::take()?;
        let voice = Voice::new(
            given.manager,
            given.watchdog,
            found.into_iter().flatten().collect(),
        );
        Ok((voice, given.descriptors))
    }

    fn new(
        manager: Option<Manager>,
        limit: Option<Duration>,
        variables: Vec<(OsString, OsString)>,
    ) -> Voice {
        let limit = limit.filter(|_| manager.is_some());
        let next = Instant::now();
        Voice {
            watchdog: limit.map(|limit| Watchdog { limit, next }),
            variables: variables
                .into_iter()
                .filter(|_| manager.is_some())
                .collect(),
            manager,
            ..Voice::default()
        }
    }

    /// Whether somebody hears it.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        self.manager.is_some()
    }

    /// How long the manager waits for a sign of life. None = for ever.
    #[must_use]
    pub fn patience(&self) -> Option<Duration> {
        self.watchdog.as_ref().map(|watchdog| watchdog.limit)
    }

    /// What goes into the environment of a program that this process becomes, so that it finds the
    /// manager, too.
    #[must_use]
    pub fn variables(&self) -> &[(OsString, OsString)] {
        &self.variables
    }

    /// Says how the service fares, with what the manager wants to know besides: when a reload began, and
    /// who is the service.
    ///
    /// # Errors
    /// The manager cannot be told any more. That is said once.
    pub fn say(&mut self, mut text: String) -> io::Result<()> {
        if self.manager.is_none() {
            return Ok(());
        }
        if text.lines().any(|line| line == "RELOADING=1") {
            let micros = clock::monotonic_micros();
            text.push_str(&format!("\nMONOTONIC_USEC={micros}"));
        }
        if text.lines().any(|line| line == "READY=1") {
            text.push_str(&format!("\nMAINPID={}", process::current_pid()));
        }
        self.tell(text, None)
    }

    /// Says something, and gives a descriptor.
    ///
    /// # Errors
    /// The manager cannot be told any more. That is said once.
    pub fn tell(&mut self, text: String, fd: Option<OwnedFd>) -> io::Result<()> {
        if self.manager.is_none() {
            return Ok(());
        }
        if self.waiting.len() >= MAX_WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back(Message { text, fd });
        self.send()
    }

    /// When there is something to do: a sign of life, or something to say again.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let watchdog = self.watchdog.as_ref().map(|watchdog| watchdog.next);
        [watchdog, self.retry_at].into_iter().flatten().min()
    }

    /// Says that the service lives, when it is time.
    pub fn beat(&mut self, now: Instant) {
        let Some(watchdog) = self.watchdog.as_mut().filter(|it| it.next <= now) else {
            return;
        };
        watchdog.wind(now);
        if let Some(manager) = &self.manager {
            // One that is lost is followed by another before the manager loses patience.
            let _lost = manager.tell("WATCHDOG=1", None);
        }
    }

    /// Nobody can say now that the service lives.
    pub fn skip_beat(&mut self, now: Instant) {
        if let Some(watchdog) = self.watchdog.as_mut().filter(|it| it.next <= now) {
            watchdog.wind(now);
        }
    }

    /// Says again what the manager did not take, when it is time.
    ///
    /// # Errors
    /// The manager cannot be told any more. That is said once.
    pub fn retry(&mut self, now: Instant) -> io::Result<()> {
        if self.retry_at.is_some_and(|at| at <= now) {
            return self.send();
        }
        Ok(())
    }

    fn send(&mut self) -> io::Result<()> {
        self.retry_at = None;
        let Some(manager) = &self.manager else {
            return Ok(());
        };
        let mut broken = Ok(());
        while let Some(message) = self.waiting.front() {
            let trust = match manager.tell(&message.text, message.fd.as_ref().map(AsFd::as_fd)) {
                Ok(()) => Trust::Whole,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.retry_at = Some(Instant::now() + RETRY);
                    return broken;
                }
                Err(error) => {
                    if self.trust == Trust::Whole {
                        broken = Err(error);
                    }
                    Trust::Broken
                }
            };
            self.trust = trust;
            self.waiting.pop_front();
        }
        broken
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    use super::*;

    fn pair(name: &str, limit: Option<Duration>) -> (Voice, UnixDatagram) {
        let name = format!("herder-voice-{name}-{}", process::current_pid());
        let place = SocketAddr::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind_addr(&place).unwrap();
        socket.set_nonblocking(true).unwrap();
        let address = super::super::address(OsStr::new(&format!("@{name}"))).unwrap();
        let manager = Manager::new(address).unwrap();
        (Voice::new(Some(manager), limit, Vec::new()), socket)
    }

    fn heard(socket: &UnixDatagram) -> Option<String> {
        let mut bytes = [0; 4096];
        let length = socket.recv(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes[..length]).into_owned())
    }

    #[test]
    fn a_reload_is_told_with_its_time_and_readiness_with_the_process() {
        let (mut voice, socket) = pair("words", None);
        voice
            .say("RELOADING=1\nSTATUS=it reloads".to_owned())
            .unwrap();
        let said = heard(&socket).unwrap();
        let micros = said.strip_prefix("RELOADING=1\nSTATUS=it reloads\nMONOTONIC_USEC=");
        assert!(micros.unwrap().parse::<u64>().unwrap() > 0);
        voice.say("READY=1".to_owned()).unwrap();
        let own = format!("READY=1\nMAINPID={}", process::current_pid());
        assert_eq!(heard(&socket), Some(own));
        assert_eq!(voice.deadline(), None);
    }

    #[test]
    fn r30_it_beats_when_it_is_time_and_not_before() {
        let limit = Duration::from_secs(8);
        let (mut voice, socket) = pair("beats", Some(limit));
        let now = Instant::now();
        assert_eq!(voice.patience(), Some(limit));
        voice.beat(now);
        assert_eq!(heard(&socket).as_deref(), Some("WATCHDOG=1"));
        voice.beat(now + limit / 4);
        assert_eq!(heard(&socket), None);
        assert_eq!(voice.deadline(), Some(now + limit / 2));
        voice.skip_beat(now + limit / 2);
        assert_eq!(heard(&socket), None);
        voice.beat(now + limit);
        assert_eq!(heard(&socket).as_deref(), Some("WATCHDOG=1"));
    }

    #[test]
    fn what_a_manager_did_not_take_is_said_again_and_its_absence_once() {
        let (mut voice, socket) = pair("again", None);
        let mut said = 0;
        while voice.retry_at.is_none() {
            voice.tell(format!("X={said}"), None).unwrap();
            said += 1;
            assert!(said < 100_000, "its queue has an end");
        }
        while heard(&socket).is_some() {}
        voice.retry(Instant::now() + RETRY).unwrap();
        assert_eq!(heard(&socket), Some(format!("X={}", said - 1)));
        drop(socket);
        assert!(voice.say("READY=1".to_owned()).is_err());
        assert!(voice.say("READY=1".to_owned()).is_ok(), "it is known");
    }
}
