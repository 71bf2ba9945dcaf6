//! The lines that come.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use flate2::read::MultiGzDecoder;
use herder_api::control::LogLine;
use herder_sys::epoll::{Epoll, Events, Interest};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};

use super::back::{forwards, last, open_old, put_away};
use super::mark::Marks;
use super::parse::parse;
use super::{Filter, LogFile, MAX_LINE, open, sort};
use crate::name::{Packing, PutAway};
use crate::place::{Missing, Place};

/// How often files are looked at that cannot be watched.
const LOOK_EVERY_NS: i64 = 250_000_000;

/// How much is read at a time: of one file, and of all.
const BLOCK: usize = 64 * 1024;
const ROUND: usize = 1024 * 1024;

/// What comes in log files. Its descriptor is readable when there may be something: wait for it, by
/// [`wait`](Follower::wait) or in an event loop, then [`read`](Follower::read).
#[derive(Debug)]
pub struct Follower {
    filter: Filter,
    tracks: Vec<Track>,
    watch: Watch,
}

/// One file that is followed.
#[derive(Debug)]
struct Track {
    file: LogFile,
    /// What has the name, or had it until a moment ago.
    open: Option<File>,
    identity: Option<(u64, u64)>,
    at: u64,
    /// A line that has begun.
    partial: Vec<u8>,
    /// What was put away before this file was made: whatever comes to it was written later.
    before: BTreeSet<PutAway>,
}

#[derive(Debug)]
enum Watch {
    /// The kernel tells of changes.
    Inotify(OwnedFd),
    /// Nothing tells of them: files are looked at again and again.
    Timer(OwnedFd),
}

/// Follows files from their present ends on, over rotation, truncation, and their being made in the
/// first place. A line that has begun is given whole, when it ends.
///
/// # Errors
///
/// When there is no descriptor left, or a file is there and cannot be read.
pub fn follow(files: Vec<LogFile>, filter: Filter) -> io::Result<Follower> {
    let mut follower = Follower::new(filter)?;
    for file in files {
        let mut track = Track::new(file);
        follower.watch(&track.file.path)?;
        track.open()?;
        track.at = track.end_of_lines()?;
        follower.tracks.push(track);
    }
    Ok(follower)
}

/// Follows files from where somebody has read them to: of what has been put away since, too, as long as
/// it is not compressed. A file that has no mark is read from its beginning.
///
/// # Errors
///
/// As those of [`follow`].
pub fn go_on(files: Vec<LogFile>, filter: Filter, marks: &Marks) -> io::Result<Follower> {
    let mut follower = Follower::new(filter)?;
    for file in files {
        let mut track = Track::new(file);
        follower.watch(&track.file.path)?;
        track.open_at(marks)?;
        follower.tracks.push(track);
    }
    Ok(follower)
}

impl Follower {
    fn new(filter: Filter) -> io::Result<Follower> {
        let watch = match inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK) {
            Ok(fd) => Watch::Inotify(fd),
            // The user has as many as is allowed.
            Err(_) => Watch::timer()?,
        };
        Ok(Follower {
            filter,
            tracks: Vec::new(),
            watch,
        })
    }

    /// Up to where all lines were given, for [`go_on`].
    #[must_use]
    pub fn marks(&self) -> Marks {
        let mut marks = Marks::default();
        for track in &self.tracks {
            if let Some(file) = track.identity {
                marks.set(file, track.at.saturating_sub(track.partial.len() as u64));
            }
        }
        marks
    }

    /// Follows one more file, from its beginning on.
    ///
    /// # Errors
    ///
    /// As those of [`follow`].
    pub fn add(&mut self, file: LogFile) -> io::Result<()> {
        self.watch(&file.path)?;
        let mut track = Track::new(file);
        track.open()?;
        self.tracks.push(track);
        Ok(())
    }

    /// The last `lines` lines of each file before those that [`read`](Follower::read) gives, as
    /// [`tail`](crate::tail) has them. Ask before anything was read: then no line is missed, and none is
    /// given twice.
    ///
    /// # Errors
    ///
    /// When a file cannot be read.
    pub fn before(&self, lines: usize) -> io::Result<Vec<LogLine>> {
        let mut all = Vec::new();
        for Track { file, open, at, .. } in &self.tracks {
            all.extend(last(file, open.as_ref(), Some(*at), lines, &self.filter)?);
        }
        sort(&mut all);
        Ok(all)
    }

    /// The lines that have come, never waiting; at most about 1 MiB of them at a time, so call again
    /// until there are none.
    ///
    /// # Errors
    ///
    /// When a file cannot be read.
    pub fn read(&mut self) -> io::Result<Vec<LogLine>> {
        // What is told from now on will be told once more.
        self.watch.clear();
        let (mut lines, mut read) = (Vec::new(), 0);
        for at in 0..self.tracks.len() {
            loop {
                let more = self.tracks[at].read(&self.filter, &mut lines)?;
                read += more;
                if read >= ROUND {
                    return Ok(lines);
                }
                if more > 0 {
                    continue;
                }
                if !self.tracks[at].is_elsewhere()? {
                    break;
                }
                read += self.tracks[at].go_on(&self.filter, &mut lines)?;
                self.watch(&self.tracks[at].file.path.clone())?;
            }
        }
        Ok(lines)
    }

    /// Waits until there may be something, at most so long.
    ///
    /// # Errors
    ///
    /// In practice none.
    pub fn wait(&self, timeout: Option<Duration>) -> io::Result<()> {
        let epoll = Epoll::new()?;
        epoll.add(self.as_fd(), 0, Interest::READABLE)?;
        epoll.wait(&mut Events::with_capacity(1), timeout)
    }

    /// Watches a file, and its directory for another one of that name.
    fn watch(&mut self, path: &Path) -> io::Result<()> {
        let Watch::Inotify(fd) = &self.watch else {
            return Ok(());
        };
        let of_file = WatchFlags::MODIFY | WatchFlags::ATTRIB | WatchFlags::MOVE_SELF;
        let of_file = of_file | WatchFlags::DELETE_SELF | WatchFlags::DONT_FOLLOW;
        let of_directory = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::MASK_ADD;
        // A file that is not there yet has a directory; when that is not there either, it has to be
        // looked at.
        let _not_there = inotify::add_watch(fd, path, of_file);
        let directory = path
            .parent()
            .map(|it| inotify::add_watch(fd, it, of_directory));
        if !matches!(directory, Some(Ok(_))) {
            self.watch = Watch::timer()?;
        }
        Ok(())
    }
}

impl AsFd for Follower {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.watch {
            Watch::Inotify(fd) | Watch::Timer(fd) => fd.as_fd(),
        }
    }
}

impl Watch {
    fn timer() -> io::Result<Watch> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let fd = rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags)?;
        let every = Timespec {
            tv_sec: 0,
            tv_nsec: LOOK_EVERY_NS,
        };
        let times = Itimerspec {
            it_interval: every,
            it_value: every,
        };
        rustix::time::timerfd_settime(&fd, TimerfdTimerFlags::empty(), &times)?;
        Ok(Watch::Timer(fd))
    }

    fn clear(&self) {
        let (Watch::Inotify(fd) | Watch::Timer(fd)) = self;
        let mut events = [0_u8; 4096];
        while rustix::io::read(fd, &mut events).is_ok_and(|length| length > 0) {}
    }
}

impl Track {
    fn new(file: LogFile) -> Track {
        Track {
            file,
            open: None,
            identity: None,
            at: 0,
            partial: Vec::new(),
            before: BTreeSet::new(),
        }
    }

    /// Opens what has the name now, to be read from its beginning.
    fn open(&mut self) -> io::Result<()> {
        self.before = self.moments()?.into_iter().map(|(when, ..)| when).collect();
        let open = open(&self.file)?;
        self.identity = open.as_ref().map(|(_, stat)| (stat.st_dev, stat.st_ino));
        self.open = open.map(|(file, _)| file);
        self.at = 0;
        Ok(())
    }

    /// Opens what was read up to a mark, whatever its name is by now; without one, as [`Track::open`].
    fn open_at(&mut self, marks: &Marks) -> io::Result<()> {
        self.open()?;
        if let Some(at) = self.identity.and_then(|file| marks.get(file)) {
            self.at = at;
            return Ok(());
        }
        let Ok(place) = Place::find(&self.file.path, Missing::Fails) else {
            return Ok(());
        };
        let moments = self.moments()?;
        for (number, (_, packing, name)) in moments.iter().enumerate().rev() {
            let Some((old, stat, Packing::Plain)) = open_old(&place, name, *packing)? else {
                continue;
            };
            let file = (stat.st_dev, stat.st_ino);
            if let Some(at) = marks.get(file) {
                self.before = moments[..number].iter().map(|it| it.0.clone()).collect();
                (self.open, self.identity, self.at) = (Some(old), Some(file), at);
                break;
            }
        }
        Ok(())
    }

    fn moments(&self) -> io::Result<Vec<(PutAway, Packing, std::ffi::OsString)>> {
        match Place::find(&self.file.path, Missing::Fails) {
            Ok(place) => put_away(&place),
            Err(error) if error.problem.is_absence() => Ok(Vec::new()),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    /// The place behind the last whole line.
    fn end_of_lines(&self) -> io::Result<u64> {
        let Some(open) = &self.open else {
            return Ok(0);
        };
        let end = open.metadata()?.len();
        let begin = end.saturating_sub(MAX_LINE as u64);
        let mut bytes = vec![0; usize::try_from(end - begin).unwrap_or(MAX_LINE)];
        let read = open.read_at(&mut bytes, begin)?;
        Ok(match memchr::memrchr(b'\n', &bytes[..read]) {
            Some(newline) => begin + newline as u64 + 1,
            None => begin,
        })
    }

    /// Reads a block; gives how much it was.
    fn read(&mut self, filter: &Filter, lines: &mut Vec<LogLine>) -> io::Result<usize> {
        let Some(open) = &self.open else {
            return Ok(0);
        };
        if open.metadata()?.len() < self.at {
            // It was emptied, and so was the line that had begun.
            self.at = 0;
            self.partial.clear();
        }
        let mut block = vec![0; BLOCK];
        let length = open.read_at(&mut block, self.at)?;
        self.at += length as u64;
        let mut rest = &block[..length];
        while let Some(newline) = memchr::memchr(b'\n', rest) {
            self.partial.extend_from_slice(&rest[..newline]);
            self.give(filter, lines);
            rest = &rest[newline + 1..];
        }
        self.partial.extend_from_slice(rest);
        if self.partial.len() >= MAX_LINE {
            self.give(filter, lines);
        }
        Ok(length)
    }

    fn give(&mut self, filter: &Filter, lines: &mut Vec<LogLine>) {
        let line = parse(&self.file, &self.partial);
        self.partial.clear();
        if filter.passes(&line) {
            lines.push(line);
        }
    }

    /// Whether another file has the name now.
    fn is_elsewhere(&self) -> io::Result<bool> {
        let now = open(&self.file)?.map(|(_, stat)| (stat.st_dev, stat.st_ino));
        // One that was renamed is written on until there is another.
        Ok(now.is_some() && now != self.identity)
    }

    /// Goes on to the file that has the name now, over those that had it for a while. Gives how much was
    /// read.
    fn go_on(&mut self, filter: &Filter, lines: &mut Vec<LogLine>) -> io::Result<usize> {
        // Something may have been written between the last look and the renaming.
        let mut read = 0;
        loop {
            let more = self.read(filter, lines)?;
            read += more;
            if more == 0 {
                break;
            }
        }
        if !self.partial.is_empty() {
            self.give(filter, lines);
        }
        let had_one = self.open.is_some();
        let known = std::mem::take(&mut self.before);
        let new = self.moments()?;
        let new = new.into_iter().filter(|(when, ..)| !known.contains(when));
        // The first of them is the one that was read just now.
        let between: Vec<_> = new.skip(usize::from(had_one)).collect();
        self.open()?;
        let Ok(place) = Place::find(&self.file.path, Missing::Fails) else {
            return Ok(read);
        };
        for (_, packing, name) in between {
            let Some((old, stat, packing)) = open_old(&place, &name, packing)? else {
                continue;
            };
            if Some((stat.st_dev, stat.st_ino)) == self.identity {
                continue;
            }
            let file = &self.file;
            let mut take = |line: &[u8]| {
                read += line.len() + 1;
                let line = parse(file, line);
                if filter.passes(&line) {
                    lines.push(line);
                }
            };
            match packing {
                Packing::Gzip => forwards(MultiGzDecoder::new(old), &mut take)?,
                Packing::Plain => forwards(old, &mut take)?,
            }
        }
        Ok(read)
    }
}
