//! Builds of one program that differ in nothing but a name at the end of the file, which each knows.
//!
//! A program is tens of megabytes, and a scene installs it several times: so each build is written once, beside the
//! programs, without what only a debugger reads, and a scene gets links to it.

use crate::binary::profile_directory;
use crate::lineage::own_pid;
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// What stands before the name.
const MARK: &str = "\nbuild of a test: ";

/// How much of the end is looked at.
const TAIL: u64 = 128;

/// What this build of the running program is called; empty when it has no name.
#[must_use]
pub fn own_name() -> String {
    name_of(Path::new("/proc/self/exe")).unwrap_or_default()
}

/// Puts a build of `original` with this name (none, if it is empty) at `path`, in place of what is there, and as
/// another file than that. Others have links to it: whoever wants to change it takes [`install_own`].
///
/// # Errors
/// When it cannot be written.
pub fn install(original: &Path, name: &str, path: &Path) -> io::Result<()> {
    let before = identity(path);
    let mut kept = kept(original, name, 0)?;
    if identity(&kept) == before {
        kept = self::kept(original, name, 1)?;
    }
    let fresh = path.with_extension("new");
    // Of an installation that failed.
    let _none = fs::remove_file(&fresh);
    match fs::hard_link(&kept, &fresh) {
        // On another file system, or who owns the programs is somebody else.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::CrossesDevices | ErrorKind::PermissionDenied
            ) =>
        {
            fs::copy(&kept, &fresh)?;
        }
        linked => linked?,
    }
    fs::rename(&fresh, path)
}

/// As [`install`], but nobody else has this file.
///
/// # Errors
/// When it cannot be written.
pub fn install_own(original: &Path, name: &str, path: &Path) -> io::Result<()> {
    let fresh = path.with_extension("new");
    write(original, name, &fresh)?;
    fs::rename(&fresh, path)
}

/// The build that is kept, written now if it was not yet. There are two of each, `turn` 0 and 1.
fn kept(original: &Path, name: &str, turn: u8) -> io::Result<PathBuf> {
    static WRITTEN: AtomicU32 = AtomicU32::new(0);
    let directory = profile_directory().join("builds");
    let file = original.file_name().unwrap_or_default().to_string_lossy();
    let edition = edition(&fs::metadata(original)?);
    let path = directory.join(format!("{file}@{edition}-{name}-{turn}"));
    if path.is_file() {
        return Ok(path);
    }
    fs::create_dir_all(&directory)?;
    forget_others(&directory, &format!("{file}@"), &edition);
    // Several tests may come here at a time.
    let count = WRITTEN.fetch_add(1, Ordering::Relaxed);
    let fresh = directory.join(format!("{file}@{edition}.{}.{count}", own_pid()));
    write(original, name, &fresh)?;
    fs::rename(&fresh, &path)?;
    Ok(path)
}

/// What tells a program from what was built before it.
fn edition(found: &Metadata) -> String {
    let (seconds, nanos) = (found.mtime(), found.mtime_nsec());
    format!("{seconds:x}.{nanos:x}.{:x}", found.len())
}

/// Removes the builds of a program that is no more.
fn forget_others(directory: &Path, program: &str, edition: &str) {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        let rest = name.to_str().and_then(|name| name.strip_prefix(program));
        if rest.is_some_and(|rest| !rest.starts_with(edition)) {
            // Another test may be faster; who has a link has it still.
            let _gone = fs::remove_file(entry.path());
        }
    }
}

fn write(original: &Path, name: &str, path: &Path) -> io::Result<()> {
    let mut from = File::open(original)?;
    let mut file = File::create(path)?;
    file.set_permissions(from.metadata()?.permissions())?;
    match loaded(&mut from)? {
        Some(length) => {
            io::copy(&mut from.take(length), &mut file)?;
            // There are no sections any more: where they begin, how many they are, which has the names.
            file.write_all_at(&[0; 8], 40)?;
            file.write_all_at(&[0; 4], 60)?;
        }
        None => {
            io::copy(&mut from, &mut file)?;
        }
    }
    if name.is_empty() {
        return Ok(());
    }
    write!(file, "{MARK}{name}")
}

/// How much of a program's file is loaded when it is executed: all that follows is for debuggers. `None` if that is
/// not known. The file is at its begin then.
fn loaded(file: &mut File) -> io::Result<Option<u64>> {
    /// A program for 64 bits, the lowest byte first.
    const MAGIC: [u8; 6] = *b"\x7fELF\x02\x01";
    const HEADER: usize = 64;
    let mut header = [0; HEADER];
    let read = file.read_at(&mut header, 0)?;
    file.seek(SeekFrom::Start(0))?;
    if read < HEADER || !header.starts_with(&MAGIC) {
        return Ok(None);
    }
    let [begin, entry, count] =
        [(32, 8), (54, 2), (56, 2)].map(|(at, size)| number(&header[at..][..size]));
    let mut end = begin + entry * count;
    for place in 0..count {
        let mut segment = [0; 56];
        file.read_exact_at(&mut segment, begin + place * entry)?;
        end = end.max(number(&segment[8..16]) + number(&segment[32..40]));
    }
    Ok(Some(end))
}

fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// Which file a process executes: its device and inode.
#[must_use]
pub fn file_of(pid: i32) -> Option<(u64, u64)> {
    identity(Path::new(&format!("/proc/{pid}/exe")))
}

/// Device and inode of a file.
#[must_use]
pub fn identity(path: &Path) -> Option<(u64, u64)> {
    let found = fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

fn name_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let tail = String::from_utf8_lossy(&tail);
    let name = tail.rsplit_once(MARK).map(|(_, name)| name.to_owned());
    Ok(name.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_knows_its_name() {
        let directory = crate::scene::Scene::new("build");
        let path = directory.directory().join("program");
        let own = Path::new("/proc/self/exe")
            .canonicalize()
            .expect("it is there");
        let mut seen = Vec::new();
        for name in ["one", "another", "another", ""] {
            install(&own, name, &path).expect("written");
            assert_eq!(name_of(&path).expect("read"), name);
            assert_ne!(seen.last(), identity(&path).as_ref(), "another file");
            seen.extend(identity(&path));
        }
        install_own(&own, "own", &path).expect("written");
        assert_eq!(name_of(&path).expect("read"), "own");
        let found = fs::metadata(&path).expect("it is there");
        assert_eq!(found.nlink(), 1);
        assert!(found.len() < fs::metadata(&own).expect("it is there").len());
        let ended = std::process::Command::new(&path).arg("--list").output();
        let ended = ended.expect("it can be executed");
        assert!(ended.status.success(), "{ended:?}");
        assert_eq!(own_name(), "");
    }
}
