//! The file in which the last verdict is found.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::event::HerdEvent;
use crate::verdict::Verdict;

/// Its owner alone reads it: what a program prints last is in it.
const MODE: u32 = 0o600;

/// Where verdicts are written to.
pub(super) struct VerdictFile(PathBuf);

impl VerdictFile {
    pub(super) fn new(path: PathBuf) -> VerdictFile {
        VerdictFile(path)
    }

    /// Writes a verdict down. Whoever reads the file finds this one or the one before it, whole. Gives what
    /// went wrong.
    pub(super) fn note(&self, verdict: &Verdict) -> Option<HerdEvent> {
        let error = self.write(verdict).err()?;
        let path = self.0.display();
        let text = format!("the verdict cannot be written to {path}: {error}");
        Some(HerdEvent::Warning { text })
    }

    fn write(&self, verdict: &Verdict) -> io::Result<()> {
        let mut text = serde_json::to_vec(verdict)?;
        text.push(b'\n');
        let unfinished = unfinished(&self.0)?;
        // Of a master before this one, that was killed here.
        let _none = fs::remove_file(&unfinished);
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(MODE)
            .open(&unfinished)
            .and_then(|mut file| file.write_all(&text))
            .and_then(|()| fs::rename(&unfinished, &self.0));
        if written.is_err() {
            let _none = fs::remove_file(&unfinished);
        }
        written
    }
}

/// A name beside it, so that it is on the same file system.
fn unfinished(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(".unfinished");
    Ok(path.with_file_name(hidden))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use herder_core::Generation;

    use super::*;
    use crate::verdict::Operation;

    #[test]
    fn the_last_verdict_is_in_the_file_whole_and_for_its_owner_alone() {
        let name = format!("herder-verdict-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir(&directory).expect("a directory");
        let path = directory.join("verdict.json");
        let file = VerdictFile::new(path.clone());
        for generation in [2, 3] {
            let (generation, took) = (Generation(generation), Duration::from_secs(1));
            let now = "now".to_owned();
            let verdict = Verdict::done(Operation::Reload, generation, took, now);
            assert_eq!(file.note(&verdict), None);
        }
        let text = fs::read_to_string(&path).expect("it is there");
        let verdict: Verdict = serde_json::from_str(&text).expect("whole");
        assert_eq!(verdict.generation, Generation(3));
        let mode = fs::metadata(&path).expect("it is there").permissions();
        assert_eq!(mode.mode() & 0o777, MODE);
        let alone = fs::read_dir(&directory).expect("ours").count();
        assert_eq!(alone, 1, "nothing unfinished is left");
        fs::remove_dir_all(&directory).expect("ours");
        let told = file.note(&verdict).expect("there is no directory");
        assert!(matches!(told, HerdEvent::Warning { .. }));
    }
}
