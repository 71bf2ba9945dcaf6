//! What the master says.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use herder_sys::failpoint;
use herder_sys::socket::{self, Received, Wait};
use herder_wire::keeper::{Key, MAX_FRAME, ToKeeper};

use super::reign::Reign;
use super::shelf::{PLACES, Refusal};
use super::{BUSY, Keeper, complain};

/// How much is heard in one turn: more than a dead master can have said.
const TURN: usize = 1024;

impl Keeper {
    /// Hears what the master has said.
    pub(super) fn listen(&mut self) -> io::Result<()> {
        let mut bytes = [0; MAX_FRAME];
        for _ in 0..TURN {
            let Some(reign) = self.throne.reign() else {
                return Ok(());
            };
            let channel = reign.channel.as_fd();
            self.arrived.clear();
            match socket::receive(channel, &mut bytes, &mut self.arrived, 1, Wait::DontWait) {
                Ok(received) if received.len == 0 => {
                    return self.epoll.remove(channel).or_else(super::ignore_missing);
                }
                Ok(received) => self.decode(&bytes[..received.len], received),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // It died before it had heard everything. What it said itself comes after this.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn decode(&mut self, bytes: &[u8], received: Received) {
        if received.descriptors_lost {
            complain("a descriptor that the master wanted to store was lost");
        }
        let fd = self.arrived.pop();
        match ToKeeper::decode(bytes) {
            Ok(Some(frame)) => self.obey(frame, fd),
            Ok(None) => {}
            Err(error) => complain(&format!("the master sent nonsense: {error}")),
        }
    }

    fn obey(&mut self, frame: ToKeeper, fd: Option<OwnedFd>) {
        let now = Instant::now();
        match frame {
            ToKeeper::Beat => self.note(|reign| reign.beat(now)),
            ToKeeper::Cgroup(_) | ToKeeper::Directory(_) | ToKeeper::SocketFile { .. } => {
                self.leftovers.note(frame);
            }
            ToKeeper::Forget { key } => {
                self.service.forget(&key, &self.shelf);
                self.shelf.forget(&key);
            }
            ToKeeper::ForgetAll { prefix } => {
                self.service.forget_all(&prefix, &self.shelf);
                self.shelf.forget_all(&prefix);
            }
            ToKeeper::Grace { millis } => self.grace = duration(millis),
            ToKeeper::HandOver => {
                let succession = self.succession();
                self.dynasty.uncrown();
                self.wishes.begin_again();
                self.note(|reign| reign.begin_again(succession, now));
            }
            ToKeeper::InCharge => {
                self.dynasty.crown(now);
                self.rest_at = Some(now + BUSY);
                self.note(|reign| reign.take_charge(now));
            }
            ToKeeper::Leaving => self.note(Reign::leave),
            ToKeeper::Notify { text } => self.service.pass_on(text),
            ToKeeper::Obeyed { signals } => self.wishes.obeyed(signals),
            ToKeeper::Rest => self.note(Reign::rest),
            ToKeeper::Store { key, pid } => self.store(key, fd, pid),
            ToKeeper::Watchdog { millis } => self.note(|it| it.set_watchdog(duration(millis))),
        }
    }

    fn note(&mut self, news: impl FnOnce(&mut Reign)) {
        if let Some(reign) = self.throne.reign_mut() {
            news(reign);
        }
    }

    fn store(&mut self, key: Key, fd: Option<OwnedFd>, pid: i32) {
        failpoint::hit("keeper.store");
        let Some(fd) = fd else {
            complain(&format!("the master sent {key} without its descriptor"));
            return;
        };
        self.service.give(&key, fd.as_fd(), self.shelf.get(&key));
        match self.shelf.store(key, fd, pid) {
            Ok(()) | Err(Refusal::Again) => {}
            Err(Refusal::First) => complain(&format!(
                "{PLACES} descriptors are stored, and {key} is not: what has no place is lost with the \
                 master"
            )),
        }
    }
}

fn duration(millis: u32) -> Duration {
    Duration::from_millis(u64::from(millis))
}
