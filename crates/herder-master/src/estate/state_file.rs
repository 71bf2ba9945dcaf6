//! Memory in which a master writes what the next one has to know.
//!
//! ```text
//! offset 0         a page for counters, which are written at any time
//!        4 KiB     the first copy
//!        4 KiB + A the second copy
//!
//! a copy: u64 magic, u32 format, u32 0, u64 sequence, u64 length, u64 sum, then the body: JSON
//! ```
//!
//! The two copies are written in turn, so that one of them is whole at any moment, whenever its writer
//! dies. All numbers are little endian; the sum is over the sequence, the length and the body.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

use herder_sys::memory;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::sum::sum;

/// Where the first copy begins.
const COUNTERS: u64 = 4096;

/// How much one copy can be. Only what is written costs memory.
const AREA: u64 = 64 << 20;

const SIZE: u64 = COUNTERS + 2 * AREA;

const MAGIC: u64 = u64::from_le_bytes(*b"herderSt");

/// Length of what stands before a body.
const HEADER: usize = 40;

/// Memory with two copies of a state.
#[derive(Debug)]
pub(crate) struct StateFile {
    memory: File,
    /// What is in it. Who reads it knows this format and the one before.
    format: u16,
    /// Of the copy that was written last; the first is 1.
    sequence: u64,
}

/// Why a state cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateError {
    #[error("the state that the last master left cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error(
        "the state that the last master left has format {found}; this version reads {ours} and the one before"
    )]
    Format { found: u32, ours: u16 },
    #[error("the state that the last master left does not make sense: {0}")]
    Body(#[from] serde_json::Error),
    #[error("the last master left no whole state")]
    Nothing,
}

/// One copy, as it was found.
struct Copy {
    format: u32,
    sequence: u64,
    body: Vec<u8>,
}

impl StateFile {
    /// New memory, with nothing in it.
    ///
    /// # Errors
    ///
    /// When there is no memory or no descriptor.
    pub(crate) fn create(format: u16) -> io::Result<StateFile> {
        let memory = memory::of_size(SIZE)?.into();
        Ok(StateFile {
            memory,
            format,
            sequence: 0,
        })
    }

    /// Takes over what another master wrote, and reads its last state.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is of a format that nobody here knows. Nothing was changed then.
    pub(crate) fn adopt<T: DeserializeOwned>(
        memory: OwnedFd,
        format: u16,
    ) -> Result<(StateFile, T), StateError> {
        let memory = File::from(memory);
        let copies = [0, 1].map(|area| read_copy(&memory, area));
        let mut newest: Option<Copy> = None;
        for copy in copies {
            let Some(copy) = copy? else { continue };
            if newest.as_ref().is_none_or(|it| it.sequence < copy.sequence) {
                newest = Some(copy);
            }
        }
        let copy = newest.ok_or(StateError::Nothing)?;
        let known = u16::try_from(copy.format).is_ok_and(|it| StateFile::understands(it, format));
        if !known {
            let found = copy.format;
            return Err(StateError::Format {
                found,
                ours: format,
            });
        }
        let state = serde_json::from_slice(&copy.body)?;
        let file = StateFile {
            memory,
            format,
            sequence: copy.sequence,
        };
        Ok((file, state))
    }

    /// Whether who writes one format reads another: it, and the one before.
    pub(crate) fn understands(found: u16, ours: u16) -> bool {
        (ours.saturating_sub(1).max(1)..=ours).contains(&found)
    }

    /// The state that was written last, as it was written.
    ///
    /// # Errors
    ///
    /// When there is none, or it cannot be read.
    pub(crate) fn last(&self) -> Result<Vec<u8>, StateError> {
        let copy = read_copy(&self.memory, self.sequence % 2)?;
        let copy = copy.filter(|copy| copy.sequence == self.sequence);
        copy.map(|copy| copy.body).ok_or(StateError::Nothing)
    }

    /// Writes a state. The one before stays whole until it is written, and for a while after that.
    ///
    /// # Errors
    ///
    /// When it is too large, or there is no memory for it: then the state before is the last one.
    pub(crate) fn write(&mut self, state: &impl Serialize) -> io::Result<()> {
        let mut bytes = vec![0; HEADER];
        serde_json::to_writer(&mut bytes, state)?;
        let length = (bytes.len() - HEADER) as u64;
        if bytes.len() as u64 > AREA {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let sequence = self.sequence + 1;
        bytes[16..24].copy_from_slice(&sequence.to_le_bytes());
        bytes[24..32].copy_from_slice(&length.to_le_bytes());
        let checksum = sum_of(&bytes);
        bytes[..8].copy_from_slice(&MAGIC.to_le_bytes());
        bytes[8..12].copy_from_slice(&u32::from(self.format).to_le_bytes());
        bytes[32..40].copy_from_slice(&checksum.to_le_bytes());
        self.memory.write_all_at(&bytes, begin(sequence % 2))?;
        self.sequence = sequence;
        Ok(())
    }

    /// The memory: its first page is for counters.
    pub(crate) fn memory(&self) -> BorrowedFd<'_> {
        self.memory.as_fd()
    }
}

fn begin(area: u64) -> u64 {
    COUNTERS + area * AREA
}

/// Of a copy whose sequence and length are in place, and whose sum is zero.
fn sum_of(copy: &[u8]) -> u64 {
    sum(&copy[16..])
}

/// `None` when there is no whole copy.
fn read_copy(memory: &File, area: u64) -> io::Result<Option<Copy>> {
    let mut header = [0; HEADER];
    memory.read_exact_at(&mut header, begin(area))?;
    let number = |at: usize| {
        let bytes = header[at..].first_chunk().expect("numbers are within it");
        u64::from_le_bytes(*bytes)
    };
    let (sequence, length) = (number(16), number(24));
    if number(0) != MAGIC || length > AREA - HEADER as u64 {
        return Ok(None);
    }
    let Ok(length) = usize::try_from(length) else {
        return Ok(None);
    };
    let mut bytes = header.to_vec();
    bytes.resize(HEADER + length, 0);
    memory.read_exact_at(&mut bytes[HEADER..], begin(area) + HEADER as u64)?;
    bytes[32..40].fill(0);
    if sum_of(&bytes) != number(32) {
        return Ok(None);
    }
    let format = u32::from_le_bytes(*header[8..].first_chunk().expect("within it"));
    Ok(Some(Copy {
        format,
        sequence,
        body: bytes.split_off(HEADER),
    }))
}

#[cfg(test)]
mod tests {
    use herder_sys::fd;

    use super::*;

    const FORMAT: u16 = 3;

    fn left_by(file: &StateFile) -> OwnedFd {
        fd::duplicate(file.memory()).expect("a descriptor")
    }

    fn read(memory: OwnedFd) -> Result<String, StateError> {
        StateFile::adopt(memory, FORMAT).map(|(_, state)| state)
    }

    fn written(states: &[&str]) -> StateFile {
        let mut file = StateFile::create(FORMAT).expect("memory");
        for state in states {
            file.write(state).expect("it fits");
        }
        file
    }

    #[test]
    fn the_state_written_last_is_read() {
        let file = written(&["one"]);
        assert_eq!(read(left_by(&file)).expect("whole"), "one");
        let file = written(&["a long one", "two", "3"]);
        assert_eq!(read(left_by(&file)).expect("whole"), "3");
        let (mut next, _) = StateFile::adopt::<String>(left_by(&file), FORMAT).expect("whole");
        next.write(&"four").expect("it fits");
        assert_eq!(read(left_by(&file)).expect("whole"), "four");
    }

    #[test]
    fn r33_a_copy_that_is_not_whole_is_not_read() {
        let file = written(&["first", "second"]);
        // The second is in the first area.
        for at in [0, 16, 24, 32, 40, 44] {
            let whole = written(&["first", "second"]);
            let mut byte = [0];
            let place = begin(0) + at;
            whole.memory.read_exact_at(&mut byte, place).expect("there");
            byte[0] ^= 0x40;
            whole.memory.write_all_at(&byte, place).expect("there");
            assert_eq!(read(left_by(&whole)).expect("one is"), "first", "{at}");
        }
        for area in [0, 1] {
            file.memory
                .write_all_at(b"?", begin(area) + 41)
                .expect("there");
        }
        assert!(matches!(read(left_by(&file)), Err(StateError::Nothing)));
        let empty = StateFile::create(FORMAT).expect("memory");
        assert!(matches!(read(left_by(&empty)), Err(StateError::Nothing)));
    }

    #[test]
    fn r33_this_format_and_the_one_before_are_read() {
        for (format, is_read) in [(1, false), (2, true), (3, true), (4, false)] {
            let mut file = StateFile::create(format).expect("memory");
            file.write(&"state").expect("it fits");
            let found = read(left_by(&file));
            assert_eq!(found.is_ok(), is_read, "{format}: {found:?}");
        }
        let mut file = written(&[]);
        file.write(&7).expect("it fits");
        assert!(matches!(read(left_by(&file)), Err(StateError::Body(_))));
    }
}
