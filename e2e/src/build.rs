//! Builds of one program that differ in nothing but a name at the end of the file, which each knows.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What stands before the name.
const MARK: &str = "\nbuild of a test: ";

/// How much of the end is looked at.
const TAIL: u64 = 128;

/// What this build of the running program is called; empty when it has no name.
#[must_use]
pub fn own_name() -> String {
    name_of(Path::new("/proc/self/exe")).unwrap_or_default()
}

/// Puts a build of `original` with this name at `path`, in place of what is there.
///
/// # Errors
/// When it cannot be written.
pub fn install(original: &Path, name: &str, path: &Path) -> io::Result<()> {
    let fresh = path.with_extension("new");
    fs::copy(original, &fresh)?;
    let mut file = OpenOptions::new().append(true).open(&fresh)?;
    write!(file, "{MARK}{name}")?;
    // Who executes a file that is open for writing is refused.
    drop(file);
    fs::rename(&fresh, path)
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
        install(Path::new("/bin/true"), "one", &path).expect("written");
        assert_eq!(name_of(&path).expect("read"), "one");
        let before = identity(&path);
        install(Path::new("/bin/true"), "another", &path).expect("written");
        assert_eq!(name_of(&path).expect("read"), "another");
        assert_ne!(identity(&path), before);
        let ended = std::process::Command::new(&path).status();
        assert!(ended.expect("it can be executed").success());
        assert_eq!(own_name(), "");
    }
}
