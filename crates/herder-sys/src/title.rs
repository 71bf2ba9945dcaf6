//! The process title: what `ps` shows instead of the command line.
//!
//! Linux has no call for it. `ps` reads the memory where the kernel once put the arguments, so a
//! title is written over them and, when it is longer, over the environment behind them. What the
//! process itself still needs of both is copied away first ([`prepare`]).

use std::ffi::{CStr, c_char, c_int};
use std::io;
use std::ptr;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::env;

/// The kernel shows at most one page of a title that reaches into the environment, and the last
/// byte of it must be zero.
const LONGEST: usize = 4095;

/// Moves arguments and environment out of the way, so that [`set`] may write over them.
///
/// Arguments and environment as `std` shows them stay the same. Calling it again does nothing.
///
/// # Errors
/// When the process has more than one thread, or the C library does not tell where the
/// arguments are.
pub fn prepare() -> io::Result<()> {
    let mut area = lock();
    if area.is_some() {
        return Ok(());
    }
    env::require_single_thread("prepare its title")?;
    // Naming it here is what makes every linker keep it.
    std::hint::black_box(&CAPTURE);
    let found = FOUND.get().ok_or_else(|| {
        let message = "this C library does not tell where the arguments are";
        io::Error::new(io::ErrorKind::Unsupported, message)
    })?;
    *area = Some(Area::vacate(found)?);
    Ok(())
}

/// Makes `title` what `ps` shows as the command line of this process.
///
/// Cut to the room there is: the length of the original command line and environment. The short
/// name (comm) stays.
///
/// # Errors
/// When [`prepare`] was not called.
pub fn set(title: &str) -> io::Result<()> {
    let mut area = lock();
    let area = area
        .as_mut()
        .ok_or_else(|| io::Error::other("the title was not prepared while there was one thread"))?;
    area.write(title.as_bytes());
    Ok(())
}

static AREA: Mutex<Option<Area>> = Mutex::new(None);

fn lock() -> MutexGuard<'static, Option<Area>> {
    AREA.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The memory that the kernel filled with arguments and environment: ours alone once vacated.
struct Area {
    start: *mut u8,
    /// Bytes of the arguments, the last zero included.
    arguments: usize,
    /// Bytes of the arguments and the environment behind them.
    total: usize,
}

// SAFETY: the memory lives as long as the process and belongs to no thread; the mutex around the
// only value of this type orders the writes.
unsafe impl Send for Area {}

impl Area {
    fn write(&mut self, title: &[u8]) {
        let end = title
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(title.len());
        let length = end.min(self.total - 1).min(LONGEST);
        // SAFETY: `start` is valid for `total` bytes that nothing else refers to any more.
        unsafe { ptr::write_bytes(self.start, 0, self.total) };
        // SAFETY: `length` is less than `total`, and `title` is not in the area.
        unsafe { ptr::copy_nonoverlapping(title.as_ptr(), self.start, length) };
        // Where the arguments end with a zero, the kernel shows them to that end, filled up with
        // zeros; where they do not, it shows one text up to its first zero. We want the second.
        if length + 1 < self.arguments {
            // SAFETY: `arguments` is at most `total`.
            let last = unsafe { self.start.add(self.arguments - 1) };
            // SAFETY: within the area, as above, and behind the zero that ends the title.
            unsafe { last.write(b'.') };
        }
    }

    /// Copies all texts elsewhere and lets every pointer that is known show the copies.
    fn vacate(found: &Found) -> io::Result<Area> {
        if found.arguments < 2 {
            return Err(io::Error::other(
                "the command line is empty, there is no room for a title",
            ));
        }
        for place in 0..found.argc {
            // SAFETY: the C library handed over an array of `argc` pointers.
            found.all.move_out(unsafe { found.argv.add(place) });
        }
        for entry in environment() {
            found.all.move_out(entry);
        }
        rename_program(&found.all);
        Ok(Area {
            start: found.all.start.cast(),
            arguments: found.arguments,
            total: found.all.length(),
        })
    }
}

/// The elements of the array `environ`, as it is now.
fn environment() -> Vec<*mut *mut c_char> {
    unsafe extern "C" {
        static mut environ: *mut *mut c_char;
    }
    // SAFETY: the variable exists in every C library, and there is only one thread.
    let array = unsafe { environ };
    elements(array)
}

/// The elements of an array that is null or ends with a null pointer.
fn elements(array: *mut *mut c_char) -> Vec<*mut *mut c_char> {
    let mut found = Vec::new();
    let mut entry = array;
    // SAFETY: the array has an element here, at the latest the null pointer that ends it.
    while !entry.is_null() && !unsafe { *entry }.is_null() {
        found.push(entry);
        // SAFETY: this element was not the null pointer, so there is another.
        entry = unsafe { entry.add(1) };
    }
    found
}

/// Texts that follow each other without a gap.
struct Span {
    start: *mut c_char,
    end: *mut c_char,
}

impl Default for Span {
    fn default() -> Span {
        Span {
            start: ptr::null_mut(),
            end: ptr::null_mut(),
        }
    }
}

impl Span {
    fn length(&self) -> usize {
        self.end.addr() - self.start.addr()
    }

    /// Takes the text in when it begins where the last one ended.
    fn append(&mut self, text: *mut c_char) {
        if text.is_null() {
            return;
        }
        if self.start.is_null() {
            self.start = text;
            self.end = text;
        }
        if text == self.end {
            // SAFETY: arguments and environment consist of texts that end with a zero.
            let length = unsafe { CStr::from_ptr(text) }.count_bytes();
            // SAFETY: one behind the zero: still within or just at the end of the same memory.
            self.end = unsafe { text.add(length + 1) };
        }
    }

    fn contains(&self, text: *const c_char) -> bool {
        (self.start.addr()..self.end.addr()).contains(&text.addr())
    }

    /// Lets the pointer at `entry` show a copy of its text when the text is in here.
    ///
    /// The copies are never freed: anybody may hold a pointer to them for the rest of the
    /// process, as with the originals.
    fn move_out(&self, entry: *mut *mut c_char) {
        // SAFETY: `entry` is an element of `argv` or `environ`, and there is one thread.
        let text = unsafe { *entry };
        if text.is_null() || !self.contains(text) {
            return;
        }
        // SAFETY: the texts in here end with a zero.
        let copy = unsafe { CStr::from_ptr(text) }.to_owned().into_raw();
        // SAFETY: as for the read above; the arrays are writable.
        unsafe { entry.write(copy) };
    }
}

/// glibc keeps two pointers into the first argument, for its own error messages.
#[cfg(target_env = "gnu")]
fn rename_program(area: &Span) {
    unsafe extern "C" {
        static mut program_invocation_name: *mut c_char;
        static mut program_invocation_short_name: *mut c_char;
    }
    area.move_out(&raw mut program_invocation_name);
    area.move_out(&raw mut program_invocation_short_name);
}

#[cfg(not(target_env = "gnu"))]
fn rename_program(_area: &Span) {}

/// What the kernel handed over at the start, measured before anybody could change it: a removed
/// variable would later be a gap in the environment.
struct Found {
    argv: *mut *mut c_char,
    argc: usize,
    /// Bytes of the arguments, the last zero included.
    arguments: usize,
    /// Arguments and environment.
    all: Span,
}

// SAFETY: plain addresses; whoever uses them as pointers has only one thread.
unsafe impl Send for Found {}
// SAFETY: as above, and nothing in here changes.
unsafe impl Sync for Found {}

static FOUND: OnceLock<Found> = OnceLock::new();

type Initialiser = extern "C" fn(c_int, *mut *mut c_char, *mut *mut c_char);

/// glibc calls what stands in this section before `main`, with the arguments of `main`. musl
/// passes nothing, so there the arguments stay unknown.
#[used]
#[cfg_attr(target_env = "gnu", unsafe(link_section = ".init_array.00098"))]
static CAPTURE: Initialiser = capture;

extern "C" fn capture(argc: c_int, argv: *mut *mut c_char, environment: *mut *mut c_char) {
    let mut all = Span::default();
    let arguments = elements(argv);
    for entry in &arguments {
        // SAFETY: an element of the array, and before `main` there is only one thread.
        all.append(unsafe { **entry });
    }
    let length = all.length();
    for entry in elements(environment) {
        // SAFETY: as above.
        all.append(unsafe { *entry });
    }
    let argc = usize::try_from(argc).unwrap_or(0).min(arguments.len());
    let found = Found {
        argv,
        argc,
        arguments: length,
        all,
    };
    // It is called once; a second answer would be the same.
    let _first = FOUND.set(found);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An area in memory of its own, with what is shown of it.
    fn written(arguments: usize, total: usize, titles: &[&str]) -> Vec<u8> {
        let mut memory = vec![b'x'; total];
        let mut area = Area {
            start: memory.as_mut_ptr(),
            arguments,
            total,
        };
        for title in titles {
            area.write(title.as_bytes());
        }
        memory
    }

    #[test]
    fn a_short_title_is_ended_and_marked() {
        assert_eq!(written(6, 8, &["longer", "ab"]), b"ab\0\0\0.\0\0");
    }

    #[test]
    fn a_title_that_fills_the_arguments_needs_no_mark() {
        assert_eq!(written(4, 8, &["abc"]), b"abc\0\0\0\0\0");
        assert_eq!(written(4, 8, &["abcd"]), b"abcd\0\0\0\0");
    }

    #[test]
    fn a_long_title_is_cut_and_still_ended() {
        assert_eq!(written(4, 8, &["abcdefghijk"]), b"abcdefg\0");
        assert_eq!(written(4, 8, &["a\0b"]), b"a\0\0.\0\0\0\0");
    }

    #[test]
    fn without_preparation_it_is_an_error() {
        assert!(set("x").is_err());
    }
}
