//! What a freshly started child does to itself before it becomes what it is meant to be.
//!
//! All of it needs a process with one thread: it changes what the whole process shares. The calls
//! that would pull descriptors or rights from under another thread check that.

use std::collections::HashSet;
use std::ffi::{CString, OsStr, OsString, c_char};
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr;

use rustix::fs::{Mode, OFlags};

use crate::env::require_single_thread;
use crate::user::Identity;
use crate::{limits, sched};

pub use crate::limits::Limit;

/// Gives the process `/dev/null` as descriptor 0.
///
/// # Errors
/// When there is no `/dev/null`, or the process has more than one thread.
pub fn replace_stdin_with_null() -> io::Result<()> {
    let null = rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    place(vec![(null, 0)])
}

/// Puts each descriptor at exactly the number given with it, to be inherited by what is executed.
///
/// Any mixture of sources and targets will do, also a swap. What else was open at a target is
/// closed. From here on the descriptors are plain numbers that nobody owns.
///
/// # Errors
/// `InvalidInput` for a negative target or two equal ones, `EBADF` for one beyond the limit,
/// `EMFILE`; or the process has more than one thread.
pub fn place(descriptors: Vec<(OwnedFd, RawFd)>) -> io::Result<()> {
    require_single_thread("rearrange its descriptors")?;
    let mut targets = HashSet::new();
    for (_, target) in &descriptors {
        if *target < 0 || !targets.insert(*target) {
            let message = format!("descriptor {target} cannot be a target, or is one twice");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
    }
    let beyond = targets
        .iter()
        .max()
        .map_or(0, |last| last.saturating_add(1));
    // A source that stands where another is to go would be closed by it: move it out of the way.
    let mut ready = Vec::with_capacity(descriptors.len());
    for (source, target) in descriptors {
        let number = source.as_raw_fd();
        let in_the_way = number != target && targets.contains(&number);
        let source = if in_the_way {
            rustix::io::fcntl_dupfd_cloexec(&source, beyond)?
        } else {
            source
        };
        ready.push((source, target));
    }
    for (source, target) in ready {
        put(source, target)?;
    }
    Ok(())
}

/// Closes every descriptor except 0, 1, 2 and those listed.
///
/// Nothing that this process goes on with may own one of the others; a process that does goes on
/// uses [`cloexec_from`].
///
/// # Errors
/// When the process has more than one thread.
pub fn close_all_except(keep: &[RawFd]) -> io::Result<()> {
    require_single_thread("close its descriptors")?;
    let mut keep: Vec<RawFd> = keep.iter().copied().filter(|fd| *fd > 2).collect();
    keep.sort_unstable();
    keep.dedup();
    let mut first = 3;
    for kept in keep {
        if kept > first {
            for_range(first, kept - 1, Fate::Close)?;
        }
        first = kept.saturating_add(1);
    }
    for_range(first, RawFd::MAX, Fate::Close)
}

/// Marks every descriptor from `first` on so that a program executed later does not get it.
///
/// # Errors
/// None on a kernel that is new enough for the rest of herder.
pub fn cloexec_from(first: RawFd) -> io::Result<()> {
    for_range(first.max(0), RawFd::MAX, Fate::CloseOnExec)
}

/// From now on no program that is executed gives more rights than its caller has (set-uid files).
///
/// # Errors
/// None on Linux.
pub fn no_new_privileges() -> io::Result<()> {
    rustix::thread::set_no_new_privs(true)?;
    Ok(())
}

/// From now on the death of this process's parent sends it SIGTERM, also as another program. (To be
/// called after a change of user, which would end it.)
///
/// # Errors
/// None on Linux.
pub fn end_with_parent() -> io::Result<()> {
    let signal = rustix::process::Signal::TERM;
    rustix::process::set_parent_process_death_signal(Some(signal))?;
    Ok(())
}

/// Sets one resource limit: what holds now, and how far the process may raise it itself.
/// [`limits::UNLIMITED`] = none.
///
/// # Errors
/// `EPERM` when `hard` is above the present one and we are not root; `EINVAL` when `soft` is
/// above `hard`.
pub fn set_limit(limit: Limit, soft: u64, hard: u64) -> io::Result<()> {
    limits::set(limit, soft, hard)
}

/// Becomes the given user for good.
///
/// A process that is this user already, and not root, has nothing to do.
///
/// # Errors
/// `EPERM` when we are neither root nor that user; when the process could go back afterwards
/// (it must not go on then, its rights are undefined); when it has more than one thread.
pub fn become_user(identity: &Identity) -> io::Result<()> {
    require_single_thread("change its user")?;
    let same = rustix::process::getuid().as_raw() == identity.uid
        && rustix::process::geteuid().as_raw() == identity.uid
        && rustix::process::getegid().as_raw() == identity.gid;
    if same && identity.uid != 0 {
        return Ok(());
    }
    let (uid, gid) = (identity.uid, identity.gid);
    // The order matters: without the user's rights the groups cannot be changed any more.
    // SAFETY: the pointer is valid for that many numbers.
    check(unsafe { libc::setgroups(identity.groups.len(), identity.groups.as_ptr()) })?;
    // SAFETY: takes numbers only.
    check(unsafe { libc::setresgid(gid, gid, gid) })?;
    // SAFETY: takes numbers only.
    check(unsafe { libc::setresuid(uid, uid, uid) })?;
    verify_no_way_back(identity)
}

/// Changes the working directory.
///
/// # Errors
/// When it cannot be entered.
pub fn change_directory(path: &Path) -> io::Result<()> {
    rustix::process::chdir(path)?;
    Ok(())
}

/// Sets which permission bits new files do not get, for instance `0o022`.
pub fn set_umask(mask: u32) {
    rustix::process::umask(Mode::from_bits_truncate(mask));
}

/// Back to the normal scheduling policy.
///
/// # Errors
/// `EPERM` where a container forbids it.
pub fn reset_scheduling() -> io::Result<()> {
    sched::normal_this_thread()
}

/// Becomes another program; returns only when that failed, with the reason.
///
/// `argv` holds the program's own name first. A `program` without a slash is searched along the
/// `PATH` of `environment`, which is the whole environment of the new program. No shell is asked.
#[must_use = "it only returns when it failed"]
pub fn execute(
    program: &Path,
    argv: &[OsString],
    environment: &[(OsString, OsString)],
) -> io::Error {
    match try_execute(program, argv, environment) {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

enum Never {}

fn try_execute(
    program: &Path,
    argv: &[OsString],
    environment: &[(OsString, OsString)],
) -> io::Result<Never> {
    let arguments = texts(argv.iter().map(|text| text.as_bytes().to_vec()))?;
    let variables = texts(
        environment
            .iter()
            .map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat()),
    )?;
    let mut denied = None;
    for candidate in candidates(program, environment) {
        let path = CString::new(candidate.as_os_str().as_bytes())?;
        // SAFETY: the path ends with a zero; both arrays end with a null pointer and point to
        // texts that end with a zero and outlive the call.
        unsafe {
            libc::execve(
                path.as_ptr(),
                pointers(&arguments).as_ptr(),
                pointers(&variables).as_ptr(),
            )
        };
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::ENOENT | libc::ENOTDIR) => {}
            // Go on searching, but remember: "not allowed" says more than "not found".
            Some(libc::EACCES) => denied = Some(error),
            _ => return Err(error),
        }
    }
    Err(denied.unwrap_or_else(|| io::Error::from_raw_os_error(libc::ENOENT)))
}

/// Where a program may be.
fn candidates(program: &Path, environment: &[(OsString, OsString)]) -> Vec<PathBuf> {
    if program.as_os_str().as_bytes().contains(&b'/') {
        return vec![program.to_path_buf()];
    }
    if program.as_os_str().is_empty() {
        return Vec::new();
    }
    let path = environment
        .iter()
        .rev()
        .find(|(name, _)| name == "PATH")
        .map(|(_, value)| value.as_os_str());
    // What the C library searches when there is no PATH.
    let path = path.unwrap_or(OsStr::new("/bin:/usr/bin"));
    std::env::split_paths(path)
        // An empty entry means the working directory.
        .map(|directory| Path::new(".").join(directory).join(program))
        .collect()
}

fn texts(items: impl Iterator<Item = Vec<u8>>) -> io::Result<Vec<CString>> {
    items
        .map(|item| CString::new(item).map_err(io::Error::from))
        .collect()
}

fn pointers(texts: &[CString]) -> Vec<*const c_char> {
    texts
        .iter()
        .map(|text| text.as_ptr())
        .chain([ptr::null()])
        .collect()
}

/// Moves one descriptor to its number, inheritable.
fn put(source: OwnedFd, target: RawFd) -> io::Result<()> {
    if source.as_raw_fd() == target {
        rustix::io::fcntl_setfd(&source, rustix::io::FdFlags::empty())?;
        // It stays where it is, as a plain number.
        let _placed: RawFd = source.into_raw_fd();
        return Ok(());
    }
    loop {
        // SAFETY: takes numbers only. The target is the caller's to give away, and with one
        // thread nobody else is using it at this moment.
        match check(unsafe { libc::dup3(source.as_raw_fd(), target, 0) }) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

#[derive(Clone, Copy)]
enum Fate {
    Close,
    CloseOnExec,
}

/// Does one thing to all descriptors from `first` to `last`.
fn for_range(first: RawFd, last: RawFd, fate: Fate) -> io::Result<()> {
    let flags = match fate {
        Fate::Close => 0,
        Fate::CloseOnExec => libc::CLOSE_RANGE_CLOEXEC,
    };
    // The raw call: the wrapper is newer than many C libraries in use.
    // SAFETY: takes numbers only; the caller has given up what is closed.
    let answer = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
    if answer == 0 {
        return Ok(());
    }
    // Filters of older containers do not know the call and forbid it.
    one_by_one(first, last, fate)
}

fn one_by_one(first: RawFd, last: RawFd, fate: Fate) -> io::Result<()> {
    let mut open = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        open.extend(
            entry?
                .file_name()
                .to_str()
                .and_then(|name| name.parse::<RawFd>().ok()),
        );
    }
    for fd in open.into_iter().filter(|fd| (first..=last).contains(fd)) {
        match fate {
            // SAFETY: takes a number only; the caller has given up what is closed.
            Fate::Close => unsafe { libc::close(fd) },
            // SAFETY: takes numbers only. The descriptor of the listing itself is gone by now,
            // which is an error that does not matter.
            Fate::CloseOnExec => unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) },
        };
    }
    Ok(())
}

/// Proves that the old rights are gone instead of believing it.
fn verify_no_way_back(identity: &Identity) -> io::Result<()> {
    const KEEP: u32 = u32::MAX;
    let (mut real, mut effective, mut saved) = (KEEP, KEEP, KEEP);
    // SAFETY: three valid places to write to.
    check(unsafe { libc::getresuid(&raw mut real, &raw mut effective, &raw mut saved) })?;
    let mut settled = [real, effective, saved] == [identity.uid; 3];
    // SAFETY: three valid places to write to.
    check(unsafe { libc::getresgid(&raw mut real, &raw mut effective, &raw mut saved) })?;
    settled &= [real, effective, saved] == [identity.gid; 3];
    if identity.uid != 0 {
        // SAFETY: takes numbers only.
        settled &= unsafe { libc::setresuid(KEEP, 0, KEEP) } != 0;
        if identity.gid != 0 {
            // SAFETY: takes numbers only.
            settled &= unsafe { libc::setresgid(KEEP, 0, KEEP) } != 0;
        }
    }
    if settled {
        return Ok(());
    }
    let message = format!(
        "the process became user {} but could still go back",
        identity.uid
    );
    Err(io::Error::new(io::ErrorKind::PermissionDenied, message))
}

fn check(answer: i32) -> io::Result<()> {
    if answer < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(program: &str, path: Option<&str>) -> Vec<String> {
        let environment: Vec<_> = path
            .map(|path| ("PATH".into(), path.into()))
            .into_iter()
            .collect();
        candidates(Path::new(program), &environment)
            .into_iter()
            .map(|path| path.to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn a_program_is_searched_along_the_path_it_will_have() {
        assert_eq!(found("sh", Some("/a:/b")), ["/a/sh", "/b/sh"]);
        assert_eq!(found("./sh", Some("/a")), ["./sh"]);
        assert_eq!(found("sh", None), ["/bin/sh", "/usr/bin/sh"]);
        assert_eq!(found("sh", Some(":c")), ["./sh", "./c/sh"]);
        assert!(found("", Some("/a")).is_empty());
    }

    #[test]
    fn what_cannot_be_executed_says_why() {
        let run = |program: &str, arg: &str| {
            execute(
                Path::new(program),
                &[arg.into()],
                &[("PATH".into(), "/etc:/nowhere".into())],
            )
        };
        assert_eq!(
            run("no-such-program", "x").raw_os_error(),
            Some(libc::ENOENT)
        );
        assert_eq!(run("passwd", "x").raw_os_error(), Some(libc::EACCES));
        assert_eq!(run("/", "x").raw_os_error(), Some(libc::EACCES));
        assert_eq!(run("/bin/sh", "x\0").kind(), io::ErrorKind::InvalidInput);
    }

    /// A descriptor with a number so high that no other test has one near it.
    fn far_away(first: RawFd) -> RawFd {
        let null = std::fs::File::open("/dev/null").unwrap();
        // SAFETY: takes numbers only; the copy is inheritable on purpose.
        let fd = unsafe { libc::fcntl(null.as_raw_fd(), libc::F_DUPFD, first) };
        assert!(fd >= first);
        fd
    }

    #[test]
    fn where_ranges_are_forbidden_descriptors_are_treated_one_by_one() {
        let (marked, closed) = (far_away(700), far_away(750));
        one_by_one(marked, marked, Fate::CloseOnExec).unwrap();
        one_by_one(closed, closed + 40, Fate::Close).unwrap();
        // SAFETY: asks about a number; EBADF is an answer.
        let flags = |fd| unsafe { libc::fcntl(fd, libc::F_GETFD) };
        assert_eq!(flags(marked), libc::FD_CLOEXEC);
        assert_eq!(flags(closed), -1);
        one_by_one(marked, marked, Fate::Close).unwrap();
        assert_eq!(flags(marked), -1);
    }
}
