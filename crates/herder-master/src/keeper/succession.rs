//! Handing over to a master what is stored, and telling it of the ends of processes that earlier ones
//! started: as fast as it takes it, and never waiting for it.

use std::io;
use std::os::fd::BorrowedFd;

use herder_sys::socket;
use herder_wire::keeper::FromKeeper;

use super::shelf::Shelf;

/// How far a master has got.
pub(super) struct Succession {
    step: Step,
    masters_died: u32,
    /// The frame that is being sent: so that none needs memory of its own.
    frame: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// It has everything, and hears of ends as they come.
    Complete,
    /// It hears nothing any more.
    Deaf,
    /// It gets the ends that nobody was told of.
    Ends,
    /// It knows with what kind of keeper it has to do.
    Introduced,
    /// It gets what is stored from this place on.
    Stored(usize),
}

/// Whether there is more to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Everything is said.
    Done,
    /// When the master has read what it has.
    Full,
    /// A little later: too many descriptors of this user are on their way.
    Later,
}

impl Succession {
    /// The beginning of a master, after so many that have died.
    pub(super) fn new(shelf: &mut Shelf, masters_died: u32) -> Succession {
        shelf.untell();
        Succession {
            step: Step::Stored(0),
            masters_died,
            frame: Vec::new(),
        }
    }

    /// Says what is to be said, as far as the master takes it.
    pub(super) fn advance(&mut self, channel: BorrowedFd<'_>, shelf: &mut Shelf) -> Progress {
        while let Some((frame, next)) = self.next(shelf) {
            match self.post(channel, &frame, shelf) {
                Ok(_) => {
                    if let FromKeeper::Exited { pid, .. } = frame {
                        shelf.tell(pid);
                    }
                    self.step = next;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Progress::Full,
                Err(error) if socket::is_too_many_refs(&error) => return Progress::Later,
                // It is dead, and will be buried.
                Err(_) => self.step = Step::Deaf,
            }
        }
        Progress::Done
    }

    /// What is to be said next, and where that leads.
    fn next(&self, shelf: &Shelf) -> Option<(FromKeeper, Step)> {
        if let Step::Stored(from) = self.step
            && let Some((place, key, pid)) = shelf.at_or_behind(from)
        {
            let frame = FromKeeper::Stored { key, pid };
            return Some((frame, Step::Stored(place + 1)));
        }
        let after = match self.step {
            Step::Complete => Step::Complete,
            Step::Deaf => return None,
            Step::Ends | Step::Stored(_) => Step::Ends,
            Step::Introduced => Step::Introduced,
        };
        if let Some((pid, status)) = shelf.untold() {
            return Some((FromKeeper::Exited { pid, status }, after));
        }
        let masters_died = self.masters_died;
        match after {
            Step::Ends => Some((FromKeeper::LetsRest, Step::Introduced)),
            Step::Introduced => Some((FromKeeper::Complete { masters_died }, Step::Complete)),
            Step::Complete | Step::Deaf | Step::Stored(_) => None,
        }
    }

    fn post(
        &mut self,
        channel: BorrowedFd<'_>,
        frame: &FromKeeper,
        shelf: &Shelf,
    ) -> io::Result<usize> {
        self.frame.clear();
        frame.encode(&mut self.frame).map_err(io::Error::other)?;
        let fd = match frame {
            FromKeeper::Stored { key, .. } => shelf.get(key),
            FromKeeper::Complete { .. } | FromKeeper::Exited { .. } | FromKeeper::LetsRest => None,
        };
        socket::send(channel, &self.frame, fd.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd, OwnedFd};

    use herder_sys::fd;
    use herder_sys::socket::Wait;
    use herder_wire::keeper::{Key, MAX_FRAME, MemberItem};

    use super::*;

    fn heard(channel: &OwnedFd) -> Option<(FromKeeper, usize)> {
        let (mut bytes, mut fds) = ([0; MAX_FRAME], Vec::new());
        let got = socket::receive(channel.as_fd(), &mut bytes, &mut fds, 9, Wait::DontWait).ok()?;
        let frame = FromKeeper::decode(&bytes[..got.len]).expect("sound");
        Some((frame.expect("known"), fds.len()))
    }

    fn shelf(members: u64) -> Shelf {
        let (mut shelf, any) = (Shelf::new(), fd::null().expect("/dev/null"));
        for life in 0..members {
            let key = Key::member(0, 0, life, MemberItem::Pidfd);
            let fd = fd::duplicate(any.as_fd()).expect("a descriptor");
            let pid = 100 + i32::try_from(life).expect("few");
            shelf.store(key, fd, pid).expect("room");
        }
        shelf
    }

    #[test]
    fn r27_all_that_is_stored_comes_then_the_ends_then_that_this_was_all() {
        let members = 700;
        let mut shelf = shelf(members);
        shelf.note_end(103, 9);
        let (ours, theirs) = socket::seqpacket_pair().expect("a pair");
        let mut succession = Succession::new(&mut shelf, 2);
        let mut stored = 0;
        let exited = loop {
            let progress = succession.advance(ours.as_fd(), &mut shelf);
            match heard(&theirs).expect("something is on its way") {
                (FromKeeper::Stored { .. }, 1) => stored += 1,
                (frame, 0) => break frame,
                (frame, fds) => panic!("{frame:?} with {fds}"),
            }
            assert!(progress != Progress::Done || stored > 1);
        };
        assert_eq!(stored, members);
        assert_eq!(
            exited,
            FromKeeper::Exited {
                pid: 103,
                status: 9
            }
        );
        assert_eq!(heard(&theirs), Some((FromKeeper::LetsRest, 0)));
        let complete = FromKeeper::Complete { masters_died: 2 };
        assert_eq!(heard(&theirs), Some((complete, 0)));
        shelf.note_end(104, 0);
        assert_eq!(succession.advance(ours.as_fd(), &mut shelf), Progress::Done);
        let news = FromKeeper::Exited {
            pid: 104,
            status: 0,
        };
        assert_eq!(heard(&theirs), Some((news, 0)));
        assert_eq!(heard(&theirs), None);
    }

    #[test]
    fn a_dead_master_is_told_nothing_and_its_successor_everything() {
        let mut shelf = shelf(3);
        shelf.note_end(101, 0);
        let (ours, theirs) = socket::seqpacket_pair().expect("a pair");
        let mut succession = Succession::new(&mut shelf, 0);
        succession.advance(ours.as_fd(), &mut shelf);
        drop(theirs);
        shelf.note_end(102, 0);
        assert_eq!(succession.advance(ours.as_fd(), &mut shelf), Progress::Done);
        let (ours, theirs) = socket::seqpacket_pair().expect("a pair");
        let mut succession = Succession::new(&mut shelf, 1);
        succession.advance(ours.as_fd(), &mut shelf);
        let frames = std::iter::from_fn(|| heard(&theirs));
        assert_eq!(frames.count(), 3 + 2 + 2);
    }
}
