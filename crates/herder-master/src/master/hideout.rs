//! The private directories of herds: each is locked as long as its herd lives, and what a herd has left whose
//! keeper and master died together, the next herd of the same user removes.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use herder_sys::{directory, process, random, user};

/// How often a directory is made that another herd takes for a dead one's before it is locked.
const ATTEMPTS: u32 = 8;

/// A name for a directory in `base`. Herds that do not lock theirs have names with two dashes: they are nobody's
/// to remove.
pub(super) fn name_in(base: &Path) -> PathBuf {
    let (pid, seed) = (process::current_pid(), random::seed());
    base.join(format!("herder-{pid}.{seed:016x}"))
}

/// Makes a private directory in `base`, and locks it: it is the herd's as long as any duplicate of the descriptor
/// is open. `announce` hears of each path before anything is there.
///
/// # Errors
/// When there can be none.
pub(super) fn make_in(
    base: &Path,
    mut announce: impl FnMut(&Path) -> io::Result<()>,
) -> io::Result<(PathBuf, OwnedFd)> {
    let mut left = ATTEMPTS;
    loop {
        let path = name_in(base);
        announce(&path)?;
        left -= 1;
        match create(&path).and_then(|()| directory::claim(&path)) {
            Ok(held) => return Ok((path, held)),
            // Swept between two calls.
            Err(error) if left > 0 && is_of_another(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Removes what dead herds of this user have left in `base`. What cannot be removed is left to the next herd.
///
/// Whether a herd lives is asked by its lock, and not by the number in the name: herds in containers have
/// numbers of their own, and may share `/run`.
pub(super) fn sweep(base: &Path) {
    let own = user::effective_uid();
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_ours = |path: &Path| {
            let found = fs::symlink_metadata(path);
            found.is_ok_and(|found| found.is_dir() && found.uid() == own)
        };
        if is_private_name(&entry.file_name())
            && is_ours(&path)
            && let Ok(held) = directory::claim(&path)
        {
            let _left = fs::remove_dir_all(&path);
            drop(held);
        }
    }
}

/// Whether a herd gives such a name to its private directory.
fn is_private_name(name: &OsStr) -> bool {
    let Some(rest) = name.to_str().and_then(|name| name.strip_prefix("herder-")) else {
        return false;
    };
    let is = |text: &str, digit: fn(&char) -> bool| text.chars().all(|it| digit(&it));
    rest.split_once('.').is_some_and(|(pid, seed)| {
        let is_number = !pid.is_empty() && is(pid, char::is_ascii_digit);
        is_number && seed.len() == 16 && is(seed, char::is_ascii_hexdigit)
    })
}

/// Others may pass (a worker of another user finds its socket), but not look around, whatever the umask.
fn create(path: &Path) -> io::Result<()> {
    const PASS: u32 = 0o711;
    fs::DirBuilder::new().mode(0o700).create(path)?;
    fs::set_permissions(path, Permissions::from_mode(PASS))
}

fn is_of_another(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::WouldBlock
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("hh-{name}-{}", process::current_pid()));
        fs::create_dir(&path).expect("a directory");
        path
    }

    fn make(base: &Path) -> (PathBuf, OwnedFd) {
        make_in(base, |_| Ok(())).expect("a private directory")
    }

    #[test]
    fn r28_what_dead_herds_have_left_is_removed_and_nothing_else() {
        let base = base("swept");
        let (living, held) = make(&base);
        let (dead, lock) = make(&base);
        fs::write(dead.join("notify-1"), "").expect("ours");
        drop(lock);
        let others = [
            "herder-1-0123456789abcdef",
            "herder-x.0123456789abcdef",
            "herder-1.0123",
            "herder-1.0123456789abcdeg",
            "other",
        ];
        for name in others {
            fs::create_dir(base.join(name)).expect("ours");
        }
        let target = base.join("target");
        fs::create_dir(&target).expect("ours");
        let link = name_in(&base);
        std::os::unix::fs::symlink(&target, &link).expect("ours");
        let file = name_in(&base);
        fs::write(&file, "").expect("ours");
        sweep(&base);
        assert!(!dead.exists());
        let kept = others.map(|name| base.join(name));
        for path in [&living, &target, &link, &file].into_iter().chain(&kept) {
            assert!(path.symlink_metadata().is_ok(), "{}", path.display());
        }
        drop(held);
        sweep(&base);
        assert!(!living.exists());
        fs::remove_dir_all(&base).expect("ours");
    }

    #[test]
    fn a_directory_is_locked_until_the_last_descriptor_is_closed_and_known_to_be_gone() {
        let base = base("raced");
        let (path, held) = make(&base);
        assert_eq!(
            directory::claim(&path).expect_err("locked").kind(),
            io::ErrorKind::WouldBlock
        );
        let heir = held.try_clone().expect("a descriptor");
        drop(held);
        let kept = directory::claim(&path).expect_err("still locked");
        assert!(is_of_another(&kept));
        drop(heir);
        let again = directory::claim(&path).expect("free");
        fs::remove_dir(&path).expect("ours");
        drop(again);
        let gone = directory::claim(&path).expect_err("swept");
        assert!(is_of_another(&gone));
        fs::remove_dir_all(&base).expect("ours");
    }

    #[test]
    fn others_may_pass_and_not_look_around() {
        let base = base("mode");
        let (path, _held) = make(&base);
        let mode = fs::metadata(&path).expect("it is there").mode();
        assert_eq!(mode & 0o777, 0o711);
        fs::remove_dir_all(&base).expect("ours");
    }
}
