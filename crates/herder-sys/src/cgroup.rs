//! Control groups (version 2): the only way to end a worker with everything it started.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Mode, OFlags};

use crate::pidfd::PidFd;
use crate::signal::Signal;

/// How often the removal of a tree is tried, each time after an event or [`PATIENCE`].
const ATTEMPTS: u32 = 5;
/// How long one attempt waits for the last process of a group to be gone.
const PATIENCE: Duration = Duration::from_secs(1);

/// A group of our own, below the one that this process is in.
///
/// Dropping it leaves the group where it is.
#[derive(Debug)]
pub struct CgroupRoot {
    path: PathBuf,
}

impl CgroupRoot {
    /// Makes the group `name`, or takes it over when an earlier run left it empty.
    ///
    /// `None` when this machine has no version 2 groups, or we may not make one here: the caller
    /// falls back to process groups.
    ///
    /// # Errors
    /// `InvalidInput` for a name that is no plain file name, `AlreadyExists` when somebody lives
    /// in a group of this name.
    pub fn create(name: &str) -> io::Result<Option<CgroupRoot>> {
        check_name(name)?;
        let Some(own) = own_directory()? else {
            return Ok(None);
        };
        let path = own.join(name);
        match fs::create_dir(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                if is_populated(&path)? {
                    return Err(error);
                }
            }
            Err(error) if is_refusal(&error) => return Ok(None),
            Err(error) => return Err(error),
        }
        // Below a threaded group, or one that gives its memory or cpu away, a new group takes no
        // processes.
        if fs::read_to_string(path.join("cgroup.type")).is_ok_and(|kind| kind.trim() != "domain") {
            fs::remove_dir(&path)?;
            return Ok(None);
        }
        Ok(Some(CgroupRoot { path }))
    }

    /// Where [`create`](CgroupRoot::create) would make the group `name`: for who tells somebody of it before
    /// it is there. `None` where there are no version 2 groups.
    ///
    /// # Errors
    /// Those of [`create`](CgroupRoot::create) that can be foreseen.
    pub fn place_of(name: &str) -> io::Result<Option<PathBuf>> {
        check_name(name)?;
        let Some(own) = own_directory()? else {
            return Ok(None);
        };
        let path = own.join(name);
        if path.is_dir() && is_populated(&path)? {
            return Err(ErrorKind::AlreadyExists.into());
        }
        Ok(Some(path))
    }

    /// A group that was [made](CgroupRoot::create) before.
    #[must_use]
    pub fn at(path: PathBuf) -> CgroupRoot {
        CgroupRoot { path }
    }

    /// The group's directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the group `name` below this one, or takes it over when it exists.
    ///
    /// # Errors
    /// `InvalidInput` for a name that is no plain file name, and those of `mkdir(2)`.
    pub fn child(&self, name: &str) -> io::Result<Cgroup> {
        check_name(name)?;
        let path = self.path.join(name);
        match fs::create_dir(&path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            _ => Ok(Cgroup { path }),
        }
    }

    /// Kills everything in this group and below it and removes it all.
    ///
    /// # Errors
    /// Those of [`remove_tree`].
    pub fn remove_all(&self) -> io::Result<()> {
        remove_tree(&self.path)
    }
}

/// The group of one worker. Dropping it leaves the group where it is.
#[derive(Debug)]
pub struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// A group that was [made](CgroupRoot::child) before.
    #[must_use]
    pub fn at(path: PathBuf) -> Cgroup {
        Cgroup { path }
    }

    /// The group's directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Moves a process into the group; what it starts from now on is in it too.
    ///
    /// # Errors
    /// `ESRCH` when the process is gone, `EACCES` when we may not move it.
    pub fn add(&self, pid: i32) -> io::Result<()> {
        fs::write(self.path.join("cgroup.procs"), pid.to_string())
    }

    /// Opens the group for who is to be born in it.
    pub(crate) fn open(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(rustix::fs::open(&self.path, flags, Mode::empty())?)
    }

    /// Kills every process in the group and below it.
    ///
    /// # Errors
    /// `NotFound` when the group was removed.
    pub fn kill(&self) -> io::Result<()> {
        kill(&self.path)
    }

    /// The processes of the group, without those of groups below it.
    ///
    /// # Errors
    /// `NotFound` when the group was removed.
    pub fn pids(&self) -> io::Result<Vec<i32>> {
        let text = fs::read_to_string(self.path.join("cgroup.procs"))?;
        let numbers = text.split_ascii_whitespace();
        Ok(numbers.filter_map(|number| number.parse().ok()).collect())
    }

    /// Whether a process lives in the group or below it. Dead ones that wait to be reaped do
    /// not count.
    ///
    /// # Errors
    /// `NotFound` when the group was removed.
    pub fn is_populated(&self) -> io::Result<bool> {
        is_populated(&self.path)
    }

    /// Removes the empty group.
    ///
    /// # Errors
    /// `EBUSY` while a process lives in it.
    pub fn remove(&self) -> io::Result<()> {
        fs::remove_dir(&self.path)
    }

    /// How many processes of the group the kernel has killed for want of memory; `None` where
    /// memory is not accounted per group.
    #[must_use]
    pub fn oom_kills(&self) -> Option<u64> {
        let events = fs::read_to_string(self.path.join("memory.events")).ok()?;
        flat_value(&events, "oom_kill")
    }
}

/// Kills everything in the group at `path` and below it and removes the directories.
///
/// Waits for the deaths, at most a few seconds in all. A group that is not there is fine.
///
/// # Errors
/// `InvalidInput` when `path` is no version 2 group or this process is in it; `EBUSY` when a
/// process would not die in time.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    if !path.exists() {
        return Ok(());
    }
    refuse_foreign(path)?;
    let mut last = Ok(());
    for _ in 0..ATTEMPTS {
        kill(path)?;
        wait_until_empty(path)?;
        last = remove_directories(path);
        // Busy = somebody was put in between, or the kernel is still at it: once more.
        if !matches!(&last, Err(error) if error.kind() == ErrorKind::ResourceBusy) {
            break;
        }
    }
    last
}

/// Deepest first, as `rmdir` wants it.
fn remove_directories(path: &Path) -> io::Result<()> {
    for child in subdirectories(path)? {
        remove_directories(&child)?;
    }
    match fs::remove_dir(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn subdirectories(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn kill(path: &Path) -> io::Result<()> {
    match fs::write(path.join("cgroup.kill"), "1") {
        // The file came with Linux 5.14.
        Err(error) if error.kind() == ErrorKind::NotFound && path.exists() => kill_each(path),
        done => done,
    }
}

/// Without the kernel's help: stop them all first, so that none starts another meanwhile.
fn kill_each(path: &Path) -> io::Result<()> {
    for child in subdirectories(path)? {
        kill_each(&child)?;
    }
    fs::write(path.join("cgroup.freeze"), "1")?;
    // The handle is taken before the second look: a number that is still listed afterwards has
    // not been given to a stranger in between.
    let handles: Vec<(i32, PidFd)> = members(path)?
        .into_iter()
        .filter_map(|pid| Some((pid, PidFd::open(pid).ok()?)))
        .collect();
    let still = members(path)?;
    for (pid, handle) in handles {
        if still.contains(&pid)
            && let Err(error) = handle.signal(Signal::Kill)
            && error.raw_os_error() != Some(libc::ESRCH)
        {
            return Err(error);
        }
    }
    fs::write(path.join("cgroup.freeze"), "0")
}

fn members(path: &Path) -> io::Result<Vec<i32>> {
    let list = fs::read_to_string(path.join("cgroup.procs"))?;
    Ok(list.lines().filter_map(|line| line.parse().ok()).collect())
}

fn is_populated(path: &Path) -> io::Result<bool> {
    let events = fs::read_to_string(path.join("cgroup.events"))?;
    Ok(flat_value(&events, "populated") != Some(0))
}

/// Returns when the group is empty or [`PATIENCE`] is over.
fn wait_until_empty(path: &Path) -> io::Result<()> {
    let give_up = Instant::now() + PATIENCE;
    // Each change of this file is an exceptional condition for whoever has it open.
    let events = File::open(path.join("cgroup.events"))?;
    while is_populated(path)? {
        let left = give_up.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
        let mut watched = [PollFd::from_borrowed_fd(events.as_fd(), PollFlags::PRI)];
        match rustix::event::poll(&mut watched, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        // Reading it through the same descriptor is what arms the next event.
        let mut text = [0_u8; 256];
        rustix::io::pread(&events, &mut text, 0)?;
    }
    Ok(())
}

/// A wrong path must not cost anything: neither somebody's files nor ourselves.
fn refuse_foreign(path: &Path) -> io::Result<()> {
    const CGROUP2_MAGIC: i64 = 0x6367_7270;
    let refuse = |why: &str| {
        let message = format!("{} {why}", path.display());
        Err(io::Error::new(ErrorKind::InvalidInput, message))
    };
    #[expect(
        clippy::useless_conversion,
        reason = "the type differs between architectures"
    )]
    if i64::from(rustix::fs::statfs(path)?.f_type) != CGROUP2_MAGIC {
        return refuse("is no control group");
    }
    if own_directory()?.is_some_and(|own| own.starts_with(path)) {
        return refuse("is the control group of this process itself");
    }
    Ok(())
}

/// A name that makes exactly one directory and hides none of the kernel's files.
fn check_name(name: &str) -> io::Result<()> {
    let mut parts = Path::new(name).components();
    let plain = matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == name);
    if plain && !name.contains('\n') && !name.starts_with("cgroup.") {
        return Ok(());
    }
    Err(io::Error::new(
        ErrorKind::InvalidInput,
        format!("{name:?} is no name for a control group"),
    ))
}

/// "You may not" and "there is no such thing here", as opposed to real trouble.
fn is_refusal(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::EACCES
                | libc::EPERM
                | libc::EROFS
                | libc::ENOENT
                | libc::EAGAIN
                | libc::EOPNOTSUPP
        )
    )
}

/// The directory of the version 2 group that this process is in.
fn own_directory() -> io::Result<Option<PathBuf>> {
    let (Some(mounts), Some(groups)) = (
        read_optional("/proc/self/mountinfo")?,
        read_optional("/proc/self/cgroup")?,
    ) else {
        return Ok(None);
    };
    Ok(find_directory(&mounts, &groups).filter(|path| path.join("cgroup.procs").exists()))
}

fn read_optional(path: &str) -> io::Result<Option<String>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Combines where version 2 is mounted with where in it we are.
fn find_directory(mounts: &str, groups: &str) -> Option<PathBuf> {
    let own = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    mounts.lines().find_map(|line| {
        // 41 31 0:38 ROOT MOUNT-POINT OPTIONS [TAGS…] - TYPE SOURCE OPTIONS
        let (left, right) = line.split_once(" - ")?;
        if right.split(' ').next() != Some("cgroup2") {
            return None;
        }
        let mut fields = left.split(' ').skip(3);
        let (root, point) = (unescape(fields.next()?), unescape(fields.next()?));
        // A container may see only a part of the tree; what we are in must be in that part.
        let below = Path::new(own).strip_prefix(&root).ok()?;
        Some(Path::new(&point).join(below))
    })
}

/// `mountinfo` writes blanks and the like as `\040`.
fn unescape(field: &str) -> String {
    let mut parts = field.split('\\');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part
            .get(..3)
            .and_then(|digits| u8::from_str_radix(digits, 8).ok())
        {
            Some(byte) => {
                text.push(char::from(byte));
                text.push_str(&part[3..]);
            }
            None => {
                text.push('\\');
                text.push_str(part);
            }
        }
    }
    text
}

/// One value of a file with lines of `key value`.
fn flat_value(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(' ')?;
        if name == key {
            value.trim().parse().ok()
        } else {
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str =
        "36 31 0:33 / /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu\n";

    #[test]
    fn the_own_directory_is_mount_plus_path() {
        let find = |mount: &str, groups: &str| {
            find_directory(
                &format!("{V1}{mount}\n"),
                &format!("4:memory:/x\n{groups}\n"),
            )
        };
        let whole = "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw";
        assert_eq!(
            find(whole, "0::/a.slice/b"),
            Some("/sys/fs/cgroup/a.slice/b".into())
        );
        assert_eq!(find(whole, "0::/"), Some("/sys/fs/cgroup".into()));
        assert_eq!(find(whole, "1:cpu:/"), None);
        let part = "41 31 0:38 /docker/x /my\\040groups rw shared:1 master:2 - cgroup2 c rw";
        assert_eq!(find(part, "0::/docker/x/y"), Some("/my groups/y".into()));
        assert_eq!(find(part, "0::/elsewhere"), None);
        assert_eq!(find_directory(V1, "0::/\n"), None);
    }

    #[test]
    fn escapes_of_the_mount_table_are_undone() {
        assert_eq!(unescape("a\\040b\\134c"), "a b\\c");
        assert_eq!(unescape("a\\9"), "a\\9");
        assert_eq!(unescape(""), "");
    }

    #[test]
    fn values_are_found_by_their_whole_name() {
        let events = "oom 5\noom_kill 3\noom_group_kill 1\n";
        assert_eq!(flat_value(events, "oom_kill"), Some(3));
        assert_eq!(flat_value(events, "oo"), None);
        assert_eq!(flat_value("populated x", "populated"), None);
    }

    #[test]
    fn an_old_kernel_kills_one_by_one() {
        let name = format!("herder-sys-unit-{}", crate::process::current_pid());
        let Some(root) = CgroupRoot::create(&name).unwrap() else {
            println!("skipped: no writable version 2 control group here");
            return;
        };
        let group = root.child("w").unwrap();
        let mut child = std::process::Command::new("sleep")
            .arg("1000")
            .spawn()
            .unwrap();
        group.add(i32::try_from(child.id()).unwrap()).unwrap();
        kill_each(root.path()).unwrap();
        let status = child.wait().unwrap();
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&status),
            Some(9)
        );
        wait_until_empty(root.path()).unwrap();
        assert!(!is_populated(root.path()).unwrap());
        root.remove_all().unwrap();
    }
}
