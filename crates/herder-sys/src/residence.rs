//! What of this process is in memory.

use std::io;
use std::ops::Range;

use rustix::mm::Advice;

/// Gives back what this process has in memory but does not need to go on: code, and heap that is free. It
/// takes about a millisecond, and what is needed again comes back at its first touch. For a process
/// that has begun, and from now on will mostly wait.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes no pointer, and may be called at any time by any thread.
    let _some_or_none = unsafe { libc::malloc_trim(0) };
    // Without /proc it has to stay as it is.
    drop(give_back_code());
}

/// Gives back what the system has mapped for this process of executables and libraries, as far as it is
/// the same as in the file. What of it is needed again is there again at the first touch: it stays in the
/// system's cache as long as there is room. Returns how many bytes were looked at.
fn give_back_code() -> io::Result<usize> {
    let text = std::fs::read_to_string("/proc/self/smaps")?;
    let mut looked = 0;
    for range in unchanged(&text) {
        // SAFETY: it is a mapping of a file that cannot be written, and none of its pages is ours alone:
        // whoever reads there next finds the same bytes.
        let given = unsafe {
            rustix::mm::madvise(
                std::ptr::without_provenance_mut(range.start),
                range.len(),
                Advice::LinuxDontNeed,
            )
        };
        // What is locked stays.
        if given.is_ok() {
            looked += range.len();
        }
    }
    Ok(looked)
}

/// The private mappings of files that cannot be written, and have no page of which there is another copy
/// than the file's (relocated tables have, and code in which a debugger has put something).
fn unchanged(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut current = None;
    for line in text.lines() {
        if let Some(pages) = line.strip_prefix("Anonymous:") {
            let is_same = pages.split_whitespace().next() == Some("0");
            found.extend(current.take().filter(|_| is_same));
        } else if let Some(range) = mapped_file(line) {
            current = range;
        }
    }
    found
}

/// None = the line begins no mapping. Some(None) = it is none of an unwritable file.
fn mapped_file(line: &str) -> Option<Option<Range<usize>>> {
    let mut fields = line.split_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let number = |text| usize::from_str_radix(text, 16).ok();
    let range = number(start)?..number(end)?;
    let rights = fields.next()?;
    let path = fields.nth(3).unwrap_or_default();
    let is_ours = matches!(rights, "r--p" | "r-xp") && path.starts_with('/');
    Some(is_ours.then_some(range))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_as_in_the_file_is_given_back() {
        let text = "\
1000-2000 r--p 00000000 fe:00 7 /usr/bin/herder
Anonymous:             0 kB
2000-9000 r-xp 00001000 fe:00 7 /usr/bin/herder
Rss:                  12 kB
Anonymous:             0 kB
9000-a000 r--p 00008000 fe:00 7 /usr/bin/herder
Anonymous:             4 kB
a000-b000 rw-p 00009000 fe:00 7 /usr/bin/herder
Anonymous:             0 kB
b000-c000 rw-p 00000000 00:00 0 [heap]
Anonymous:             4 kB
c000-d000 r--s 00000000 fe:00 8 /usr/lib/cache
Anonymous:             0 kB
d000-e000 r-xp 00000000 00:00 0 [vdso]
Anonymous:             0 kB
";
        assert_eq!(unchanged(text), [0x1000..0x2000, 0x2000..0x9000]);
    }

    #[test]
    fn a_process_goes_on_without_its_code() {
        assert!(give_back_code().unwrap() > 0);
        let words: Vec<String> = (0..3).map(|number| format!("{number:02}")).collect();
        assert_eq!(words.concat(), "000102");
    }
}
