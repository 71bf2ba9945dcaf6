//! The program and its maps, as one thing.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use super::call::{self, MapShape};
use super::error::{BpfError, LOG_LINES, Refusal};
use super::probe;
use super::program::{self, Maps};
use crate::socket::length_of;

/// How many places for sockets there are.
pub const MAX_SOCKETS: u32 = 320;

/// How many turns a rotation may have.
pub const MAX_TURNS: usize = 256;

/// What a steering is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// The program.
    Program,
    /// The sockets by their places.
    Sockets,
    /// The turns.
    Turns,
    /// What it counts.
    Counters,
}

/// What the program has counted since it was loaded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Turns taken, those in vain and those that were yielded included.
    pub turns: u64,
    /// Turns in vain: no socket was at the place.
    pub misses: u64,
    /// Connections that went by the kernel's hash because there was no rotation.
    pub empty: u64,
    /// Connections that went by the kernel's hash because several turns were in vain.
    pub exhausted: u64,
    /// Connections that waited at a socket that was closed or shut down, and went to another.
    pub migrated: u64,
}

/// A program in the kernel, its places for sockets, and whose turn it is.
///
/// It works as long as it is attached to a socket that lives, also after the death of the process
/// that loaded it. Whoever has the four descriptors can [go on](Steering::adopt) with it.
#[derive(Debug)]
pub struct Steering {
    program: OwnedFd,
    sockets: OwnedFd,
    turns: OwnedFd,
    counters: OwnedFd,
}

const SOCKETS: MapShape = MapShape {
    kind: call::MAP_SOCKETS,
    key_size: 4,
    // So wide that what is read from it is the socket's cookie.
    value_size: 8,
    entries: MAX_SOCKETS,
};
const TURNS: MapShape = one_value(size_of::<TurnsValue>());
const COUNTERS: MapShape = one_value(8 * COUNTER_WORDS);

/// The words that each connection writes, with room: as much as a line of the processor's cache, and alone in it.
/// Behind it the turns that each place has yielded.
const COUNTER_WORDS: usize = YIELDED_WORD + MAX_SOCKETS as usize;
const YIELDED_WORD: usize = program::YIELDED.unsigned_abs() as usize / 8;

/// The one value of the map of turns.
#[repr(C)]
struct TurnsValue {
    length: u32,
    turns: [u32; MAX_TURNS],
    padding: u32,
    to_yield: [u64; MAX_SOCKETS as usize],
}

// SAFETY: integers, and the padding is one of them.
unsafe impl call::Plain for TurnsValue {}

const _: () = assert!(
    std::mem::offset_of!(TurnsValue, to_yield) == program::TO_YIELD.unsigned_abs() as usize,
    "the program reads it there"
);

impl TurnsValue {
    const fn empty() -> TurnsValue {
        TurnsValue {
            length: 0,
            turns: [0; MAX_TURNS],
            padding: 0,
            to_yield: [0; MAX_SOCKETS as usize],
        }
    }
}

/// How many turns were taken, and how many of them yielded.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Turns {
    /// Turns taken, those in vain and those that were yielded included.
    pub taken: u64,
    /// Of them, those that each of the asked places has yielded.
    pub yielded: Vec<u64>,
}

const fn one_value(size: usize) -> MapShape {
    #[expect(clippy::cast_possible_truncation, reason = "about a kilobyte")]
    MapShape {
        kind: call::MAP_ARRAY,
        key_size: 4,
        value_size: size as u32,
        entries: 1,
    }
}

impl Steering {
    /// Loads the program. Until [`set_turns`](Steering::set_turns), and for as long as it is attached
    /// to nothing, it changes nothing.
    ///
    /// # Errors
    ///
    /// [`BpfError::Refused`] where it is not possible or not permitted; the rest never happens in
    /// practice.
    pub fn load() -> Result<Steering, BpfError> {
        let map = |name, shape| {
            let made = call::create_map(name, shape);
            made.map_err(|source| probe::explain("cannot make a map for the kernel", source))
        };
        let sockets = map("herder_sockets", SOCKETS)?;
        let turns = map("herder_turns", TURNS)?;
        let counters = map("herder_counters", COUNTERS)?;
        let program = load(&Maps {
            sockets: sockets.as_fd(),
            turns: turns.as_fd(),
            counters: counters.as_fd(),
        })?;
        Ok(Steering {
            program,
            sockets,
            turns,
            counters,
        })
    }

    /// Goes on with what another process has loaded. The kernel is asked whether these are a program of
    /// that kind and the maps that it uses; what they say is as it was.
    ///
    /// # Errors
    ///
    /// [`BpfError::Unlike`] with what the first wrong one is.
    pub fn adopt(parts: [OwnedFd; 4]) -> Result<Steering, BpfError> {
        let [program, sockets, turns, counters] = parts;
        let ids = [
            check_map("map of sockets", sockets.as_fd(), SOCKETS)?,
            check_map("map of turns", turns.as_fd(), TURNS)?,
            check_map("map of counters", counters.as_fd(), COUNTERS)?,
        ];
        check_program(program.as_fd(), ids)?;
        Ok(Steering {
            program,
            sockets,
            turns,
            counters,
        })
    }

    /// The descriptors, for another process, in the order in which [`adopt`](Steering::adopt) wants
    /// them.
    #[must_use]
    pub fn parts(&self) -> [(Part, BorrowedFd<'_>); 4] {
        [
            (Part::Program, self.program.as_fd()),
            (Part::Sockets, self.sockets.as_fd()),
            (Part::Turns, self.turns.as_fd()),
            (Part::Counters, self.counters.as_fd()),
        ]
    }

    /// Puts the program in charge of the socket's whole group, in place of any that was. The socket
    /// has to listen, with `SO_REUSEPORT`.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a socket that is in no group.
    pub fn attach(&self, socket: BorrowedFd<'_>) -> io::Result<()> {
        let program = self.program.as_raw_fd();
        // SAFETY: the pointer and the length describe `program`, which outlives the call.
        let result = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                SO_ATTACH_REUSEPORT_EBPF,
                (&raw const program).cast(),
                length_of::<libc::c_int>(),
            )
        };
        if result == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// Writes a socket at a place, in place of what is there. It has to listen already, and leaves
    /// the place by itself when it is closed or shut down.
    ///
    /// # Errors
    ///
    /// `EBUSY` for a socket that has a place already, `EINVAL` for one that does not listen, `E2BIG`
    /// from [`MAX_SOCKETS`] on.
    pub fn enter(&self, place: u32, socket: BorrowedFd<'_>) -> io::Result<()> {
        let number = u64::from(call::number(socket));
        call::update(self.sockets.as_fd(), place, &number)
    }

    /// Nothing is at the place any more.
    ///
    /// # Errors
    ///
    /// In practice none: a place may be empty.
    pub fn leave(&self, place: u32) -> io::Result<()> {
        match call::delete(self.sockets.as_fd(), place) {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            result => result,
        }
    }

    /// Which socket is at the place, by the cookie that
    /// [`cookie`](crate::listener::cookie) tells.
    ///
    /// # Errors
    ///
    /// In practice none.
    pub fn at(&self, place: u32) -> io::Result<Option<u64>> {
        let mut cookie = 0_u64;
        match call::look_up(self.sockets.as_fd(), place, &mut cookie) {
            Ok(()) => Ok(Some(cookie)),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes whose turns there are, in order: places of sockets, as often as their weights say.
    ///
    /// `to_yield`: how many turns a place is to have [yielded](Turns::yielded) in all. Until it has, each of its
    /// turns is given up, and the next one taken; 0 for those that are not named.
    ///
    /// Who is asked this moment may see a part of the old turns: they are all places. So write new
    /// turns first, and only then take a socket from a place that is no more among them.
    ///
    /// # Errors
    ///
    /// `InvalidInput` unless there are 1 to [`MAX_TURNS`].
    pub fn set_turns(&self, places: &[u32], to_yield: &[(u32, u64)]) -> io::Result<()> {
        if places.is_empty() || places.len() > MAX_TURNS {
            let problem = format!("{} turns: use 1 to {MAX_TURNS}", places.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
        let mut value = TurnsValue::empty();
        value.length = u32::try_from(places.len()).expect("at most some hundred");
        // A turn behind the end may be taken by who has read the old length: it is somebody's.
        let all = value.turns.iter_mut().zip(places.iter().cycle());
        all.for_each(|(to, from)| *to = *from);
        for (place, turns) in to_yield {
            let place = usize::try_from(*place).unwrap_or(usize::MAX);
            if let Some(to) = value.to_yield.get_mut(place) {
                *to = *turns;
            }
        }
        call::update(self.turns.as_fd(), 0, &value)
    }

    /// New connections are refused from now on, as if nobody listened, until there are
    /// [turns](Steering::set_turns) again. Who waits already, or is shaking hands, can still be
    /// accepted.
    ///
    /// # Errors
    ///
    /// In practice none.
    pub fn close(&self) -> io::Result<()> {
        let mut value = TurnsValue::empty();
        value.length = program::CLOSED.cast_unsigned();
        call::update(self.turns.as_fd(), 0, &value)
    }

    /// Whose turns there are; nobody's when it is [closed](Steering::close).
    ///
    /// # Errors
    ///
    /// In practice none.
    pub fn turns(&self) -> io::Result<Vec<u32>> {
        let mut value = TurnsValue::empty();
        call::look_up(self.turns.as_fd(), 0, &mut value)?;
        let length = match value.length.cast_signed() {
            program::CLOSED => 0,
            length => usize::try_from(length).unwrap_or(MAX_TURNS),
        };
        Ok(value.turns.iter().take(length).copied().collect())
    }

    /// The turns so far, and what these places have yielded of them.
    ///
    /// # Errors
    ///
    /// In practice none.
    pub fn taken(&self, places: impl IntoIterator<Item = u32>) -> io::Result<Turns> {
        let words = self.words()?;
        let yielded = |place: u32| {
            let place = usize::try_from(place).unwrap_or(usize::MAX);
            words[YIELDED_WORD..].get(place).copied().unwrap_or(0)
        };
        Ok(Turns {
            taken: word(&words, program::TURNS),
            yielded: places.into_iter().map(yielded).collect(),
        })
    }

    /// What the program has counted.
    ///
    /// # Errors
    ///
    /// In practice none.
    pub fn counts(&self) -> io::Result<Counts> {
        let words = self.words()?;
        Ok(Counts {
            turns: word(&words, program::TURNS),
            misses: word(&words, program::MISSES),
            empty: word(&words, program::EMPTY),
            exhausted: word(&words, program::EXHAUSTED),
            migrated: word(&words, program::MIGRATED),
        })
    }

    fn words(&self) -> io::Result<[u64; COUNTER_WORDS]> {
        let mut words = [0; COUNTER_WORDS];
        call::look_up(self.counters.as_fd(), 0, &mut words)?;
        Ok(words)
    }
}

fn word(words: &[u64], offset: i16) -> u64 {
    words[usize::from(offset.unsigned_abs() / 8)]
}

/// Not in libc; the number is the same on all architectures with the generic socket header.
const SO_ATTACH_REUSEPORT_EBPF: libc::c_int = 52;

fn load(maps: &Maps<'_>) -> Result<OwnedFd, BpfError> {
    let instructions = program::assemble(maps);
    // Without a log first: it costs time, and is needed only when something is wrong.
    match call::load_program("herder_dispatch", &instructions, &mut []) {
        Ok(program) => return Ok(program),
        Err(error) if probe::is_refusal(&error) => {
            return Err(probe::explain("cannot load the program", error));
        }
        Err(_) => {}
    }
    let mut log = vec![0; 256 * 1024];
    call::load_program("herder_dispatch", &instructions, &mut log)
        .map_err(|source| probe::explain_verifier(source, &last_lines(&log)))
}

/// What the verifier says last: there the reason is.
fn last_lines(log: &[u8]) -> String {
    let end = log.iter().position(|byte| *byte == 0);
    let text = String::from_utf8_lossy(&log[..end.unwrap_or(log.len())]);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}

fn check_map(
    expected: &'static str,
    map: BorrowedFd<'_>,
    shape: MapShape,
) -> Result<u32, BpfError> {
    let unlike = |found| BpfError::Unlike { expected, found };
    let info = call::map_info(map).map_err(|error| unlike(error.to_string()))?;
    if info.shape == shape {
        Ok(info.id)
    } else {
        Err(unlike(format!("{:?}", info.shape)))
    }
}

fn check_program(program: BorrowedFd<'_>, maps: [u32; 3]) -> Result<(), BpfError> {
    let unlike = |found| BpfError::Unlike {
        expected: "dispatching program",
        found,
    };
    let info = call::program_info(program).map_err(|error| unlike(error.to_string()))?;
    if info.kind != call::PROGRAM_SK_REUSEPORT {
        return Err(unlike(format!("a program of type {}", info.kind)));
    }
    let uses = |id: &u32| info.map_ids.contains(id);
    if info.maps != 3 || !maps.iter().all(uses) {
        return Err(unlike("a program with other maps".to_owned()));
    }
    Ok(())
}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        Self::new(io::ErrorKind::PermissionDenied, refusal)
    }
}
