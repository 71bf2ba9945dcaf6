//! Starting children, finding them, ending their groups.

mod inside;

use std::ffi::{CString, OsStr, OsString};
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use rustix::fs::{Mode, OFlags};
use rustix::process::{DumpableBehavior, WaitId, WaitIdOptions, WaitOptions};

use crate::apply;
use crate::cgroup::Cgroup;
use crate::pidfd::{self, PidFd};
use crate::signal::{self, Signal};

/// A program file held by a descriptor, so that what is started is what was opened, even after
/// the file was replaced.
#[derive(Debug)]
pub struct Executable {
    file: OwnedFd,
    path: PathBuf,
}

impl Executable {
    /// The program that runs now.
    ///
    /// # Errors
    /// When `/proc` is not mounted or no descriptor is left.
    pub fn current() -> io::Result<Executable> {
        let link = Path::new("/proc/self/exe");
        let file = open_program(link)?;
        let path = without_deleted(fs::read_link(link)?);
        Ok(Executable { file, path })
    }

    /// The program at `path`, as it is now.
    ///
    /// # Errors
    /// When it cannot be found or reached. Whether it may be executed shows at the launch.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Executable> {
        let path = path.into();
        Ok(Executable {
            file: open_program(&path)?,
            path,
        })
    }

    /// A program that is open already. `path`: where it was when it was opened.
    #[must_use]
    pub fn held(file: OwnedFd, path: PathBuf) -> Executable {
        Executable { file, path }
    }

    /// The program that `file` is a descriptor of, for instance one that was passed.
    ///
    /// # Errors
    /// When `/proc` is not mounted, or no descriptor is left.
    pub fn from_descriptor(file: OwnedFd) -> io::Result<Executable> {
        let file = above_stdio(file)?;
        let link = format!("/proc/self/fd/{}", file.as_raw_fd());
        let path = without_deleted(fs::read_link(link)?);
        Ok(Executable { file, path })
    }

    /// Where the program was when it was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Goes on as this program: the same process, with its children and their descriptors' other
    /// ends, but none of its threads and none of its descriptors except 0 (`stdin`), 1 and 2.
    /// Returns only when that failed, with the reason; descriptor 0 is `/dev/null` then.
    ///
    /// The signal mask stays, and so do the signals that wait.
    #[must_use = "it only returns when it failed"]
    pub fn replace_process(
        &self,
        stdin: &OwnedFd,
        argv: &[OsString],
        environment: &[(OsString, OsString)],
    ) -> io::Error {
        if let Err(error) = rustix::stdio::dup2_stdin(stdin) {
            return error.into();
        }
        let file = PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()));
        let error = apply::execute(&file, argv, environment);
        // It replaces an open descriptor, and needs a free one only for a moment.
        let _kept = crate::fd::null().and_then(|null| Ok(rustix::stdio::dup2_stdin(&null)?));
        error
    }
}

impl AsFd for Executable {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Everything that [`launch`] needs. The descriptors given here are closed in this process by it.
#[derive(Debug)]
pub struct Launch<'a> {
    /// What to run; a native program, no script.
    pub executable: &'a Executable,
    /// What the program sees as its own name.
    pub argv0: OsString,
    /// The arguments after `argv0`.
    pub args: &'a [OsString],
    /// Put on top of the environment of this process.
    pub environment: Vec<(OsString, OsString)>,
    /// The child's descriptor 0.
    pub stdin: OwnedFd,
    /// The child's descriptor 1; ours when `None`.
    pub stdout: Option<OwnedFd>,
    /// The child's descriptor 2; ours when `None`.
    pub stderr: Option<OwnedFd>,
}

/// A process that we started. Dropping it neither ends nor reaps it.
#[derive(Debug)]
pub struct Child {
    /// Its number, right until it is reaped. It is also the number of its process group.
    pub pid: i32,
    /// Its handle: for its death, and for signals to it alone.
    pub pidfd: PidFd,
}

/// Starts a child in a process group of its own.
///
/// The kernel names it after the descriptor that it was started through;
/// [`restore_comm`] in the child puts that right. The child inherits the signal mask and ignored
/// signals of the calling thread ([`signal::reset_all`]) and no descriptor except 0, 1 and 2.
///
/// Call it on a thread that lives as long as the process. The child must be reaped through its
/// pidfd, and nothing may reap children it does not know.
///
/// # Errors
/// `EAGAIN`, `ENOMEM`, `EMFILE` and the like when a resource is missing: nothing was started and
/// nothing is left open. `ENOENT`, `EACCES`, `ENOEXEC` when the file cannot be executed.
pub fn launch(launch: Launch<'_>) -> io::Result<Child> {
    keep_exit_statuses()?;
    let mut command = Command::new(format!(
        "/proc/self/fd/{}",
        launch.executable.file.as_raw_fd()
    ));
    command
        .arg0(&launch.argv0)
        .args(launch.args)
        .envs(launch.environment)
        .stdin(launch.stdin)
        .stdout(launch.stdout.map_or_else(Stdio::inherit, Stdio::from))
        .stderr(launch.stderr.map_or_else(Stdio::inherit, Stdio::from))
        // Without a closure to run before the exec, std takes the `posix_spawn` path: no copy of
        // the page tables, no code of ours between fork and exec.
        .process_group(0);
    let mut child = command.spawn()?;
    let pid = i32::try_from(child.id()).expect("a Linux process id fits a positive i32");
    match PidFd::open(pid) {
        Ok(pidfd) => Ok(Child { pid, pidfd }),
        Err(error) => {
            // A child that cannot be watched is worse than none.
            child.kill()?;
            child.wait()?;
            Err(error)
        }
    }
}

/// Where a child begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Birthplace {
    /// In the control group that was asked for.
    Inside,
    /// In ours: the kernel cannot do it (Linux before 5.7), or may not.
    Outside,
}

/// As [`launch`], and the child is in `group` from the beginning, if that can be. (To move it there later
/// costs tens of milliseconds.)
///
/// # Errors
/// Those of [`launch`].
pub fn launch_inside(given: Launch<'_>, group: &Cgroup) -> io::Result<(Child, Birthplace)> {
    keep_exit_statuses()?;
    match inside::launch(&given, group)? {
        inside::Birth::Inside(child) => Ok((child, Birthplace::Inside)),
        inside::Birth::Refused => Ok((launch(given)?, Birthplace::Outside)),
    }
}

/// Sends a signal to every process of the group `pid`.
///
/// The caller guarantees that `pid` is a child of its own that has not been reaped: as long as it
/// is not, the number cannot belong to anybody else.
///
/// # Errors
/// `ESRCH` when the group is empty; `InvalidInput` for 1 and below, which would mean "everybody".
pub fn signal_group(pid: i32, signal: Signal) -> io::Result<()> {
    let group = pidfd::positive(pid)?;
    if group.is_init() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "process group 1 is never ours",
        ));
    }
    rustix::process::kill_process_group(group, signal.to_rustix())?;
    Ok(())
}

/// From now on, processes whose parent dies below us become our children.
///
/// # Errors
/// None on a kernel that is new enough for the rest of herder.
pub fn become_subreaper() -> io::Result<()> {
    keep_exit_statuses()?;
    // Any pid means "yes" to the kernel.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    Ok(())
}

/// The children of this process, dead ones that were not reaped included.
///
/// # Errors
/// When `/proc` is not mounted or no descriptor is left.
pub fn children() -> io::Result<Vec<i32>> {
    let mut found = Vec::new();
    for thread in fs::read_dir("/proc/self/task")? {
        let list = match fs::read_to_string(thread?.path().join("children")) {
            Ok(list) => list,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Either this thread has ended since, or the kernel was built without the file.
                if Path::new("/proc/thread-self/children").exists() {
                    continue;
                }
                return children_by_parent();
            }
            Err(error) => return Err(error),
        };
        found.extend(
            list.split_ascii_whitespace()
                .filter_map(|pid| pid.parse::<i32>().ok()),
        );
    }
    Ok(found)
}

/// Takes the exit status of any dead child; `None` when there is none at the moment.
///
/// Only for a process that knows all its children by number: it takes the status away from
/// whoever waits on a pidfd. The others ask [`dead_child`] first.
///
/// # Errors
/// None that a caller could do something about.
pub fn reap() -> io::Result<Option<(i32, ExitStatus)>> {
    let taken = rustix::io::retry_on_intr(|| rustix::process::wait(WaitOptions::NOHANG));
    match taken {
        Ok(Some((pid, status))) => Ok(Some((
            pid.as_raw_pid(),
            ExitStatus::from_raw(status.as_raw()),
        ))),
        Ok(None) | Err(rustix::io::Errno::CHILD) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The number of a dead child that waits to be reaped, without reaping it.
///
/// # Errors
/// None that a caller could do something about.
pub fn dead_child() -> io::Result<Option<i32>> {
    let peek = WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    for number in children()? {
        let pid = pidfd::positive(number)?;
        if matches!(pidfd::exited(|| WaitId::Pid(pid), peek), Ok(Some(_))) {
            return Ok(Some(number));
        }
    }
    Ok(None)
}

/// The number of a dead child that waits to be reaped, without reaping it; needs neither a descriptor
/// nor memory.
///
/// # Errors
/// None that a caller could do something about.
pub fn peek_dead() -> io::Result<Option<i32>> {
    let mut found = MaybeUninit::<libc::siginfo_t>::zeroed();
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    loop {
        // SAFETY: `found` is writable and as large as the kernel expects.
        let failed = unsafe { libc::waitid(libc::P_ALL, 0, found.as_mut_ptr(), options) } != 0;
        if !failed {
            break;
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EINTR) => {}
            Some(libc::ECHILD) => return Ok(None),
            _ => return Err(error),
        }
    }
    // SAFETY: all-zero bytes are a valid value of this plain structure, and stay when nobody is dead.
    let found = unsafe { found.assume_init() };
    // SAFETY: what `waitid` fills has a number, and all zeros have the number 0.
    let pid = unsafe { found.si_pid() };
    Ok((pid > 0).then_some(pid))
}

/// Takes the exit status of the child `pid` if it is dead; `None` while it lives.
///
/// # Errors
/// `ECHILD` when it is not our child or was reaped already.
pub fn reap_child(pid: i32) -> io::Result<Option<ExitStatus>> {
    let pid = pidfd::positive(pid)?;
    pidfd::exited(|| WaitId::Pid(pid), WaitIdOptions::NOHANG)
}

/// How many threads this process has.
///
/// A thread that was joined may be counted for a moment longer.
///
/// # Errors
/// When `/proc` is not mounted or no descriptor is left.
pub fn thread_count() -> io::Result<usize> {
    let status = fs::read("/proc/self/status")?;
    status
        .split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(b"Threads:"))
        .and_then(|value| std::str::from_utf8(value).ok())
        .and_then(|value| value.trim().parse().ok())
        .ok_or_else(|| io::Error::other("/proc/self/status does not tell the number of threads"))
}

/// Our own process id.
#[must_use]
pub fn current_pid() -> i32 {
    rustix::process::getpid().as_raw_pid()
}

/// The process id of our parent; 0 when it lives in another pid namespace.
#[must_use]
pub fn parent_pid() -> i32 {
    rustix::process::Pid::as_raw(rustix::process::getppid())
}

/// Hides memory, environment and descriptors of this process from others of the same user.
///
/// An `execve` ends it.
///
/// # Errors
/// None on Linux.
pub fn set_not_dumpable() -> io::Result<()> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// Sets the short name of the calling thread; on the main thread this is the name of the process
/// as `top` and `pkill` see it. Cut to 15 bytes by the kernel.
///
/// # Errors
/// `InvalidInput` when the name has a zero byte.
pub fn set_comm(name: &str) -> io::Result<()> {
    set_comm_bytes(name.as_bytes())
}

/// Names the process after its program file again. For a process that [`launch`] started, on its
/// main thread.
///
/// # Errors
/// When `/proc` is not mounted.
pub fn restore_comm() -> io::Result<()> {
    let path = without_deleted(fs::read_link("/proc/self/exe")?);
    set_comm_bytes(path.file_name().unwrap_or(OsStr::new("?")).as_bytes())
}

/// With SIGCHLD ignored, which a careless parent may leave us, the kernel throws exit statuses
/// away and every wait is `ECHILD`.
fn keep_exit_statuses() -> io::Result<()> {
    signal::default_if_ignored(libc::SIGCHLD)
}

fn set_comm_bytes(name: &[u8]) -> io::Result<()> {
    rustix::thread::set_name(&CString::new(name)?)?;
    Ok(())
}

/// Opens a program so that it can be executed, above the numbers that a child's stdio takes.
fn open_program(path: &Path) -> io::Result<OwnedFd> {
    // A path descriptor needs only the right to execute and never makes the file "busy".
    let file = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    above_stdio(file)
}

/// The same file, above the numbers that a child's stdio takes.
fn above_stdio(file: OwnedFd) -> io::Result<OwnedFd> {
    const FIRST_FREE: i32 = 3;
    if file.as_raw_fd() >= FIRST_FREE {
        return Ok(file);
    }
    Ok(rustix::io::fcntl_dupfd_cloexec(&file, FIRST_FREE)?)
}

/// The kernel marks the path of a file that was replaced or removed.
fn without_deleted(path: PathBuf) -> PathBuf {
    let mut bytes = path.into_os_string().into_vec();
    if bytes.ends_with(b" (deleted)") {
        bytes.truncate(bytes.len() - b" (deleted)".len());
    }
    OsString::from_vec(bytes).into()
}

/// Slow but always there: every process whose parent we are.
fn children_by_parent() -> io::Result<Vec<i32>> {
    let own = current_pid();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<i32>().ok())
        else {
            continue;
        };
        // A process that ended since has no file any more, and is no child either.
        let stat = fs::read(entry.path().join("stat")).unwrap_or_default();
        if parent_in_stat(&stat) == Some(own) {
            found.push(pid);
        }
    }
    Ok(found)
}

/// The fourth field of `/proc/<pid>/stat`; the second is a name that may contain anything.
fn parent_in_stat(stat: &[u8]) -> Option<i32> {
    let after_name = stat.iter().rposition(|byte| *byte == b')')? + 1;
    let rest = std::str::from_utf8(&stat[after_name..]).ok()?;
    rest.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_is_found_behind_a_hostile_name() {
        assert_eq!(parent_in_stat(b"7 (a) S 1 (b) R 42 7 7"), Some(42));
        assert_eq!(parent_in_stat(b""), None);
        assert_eq!(parent_in_stat(b"7 (cut off"), None);
    }

    #[test]
    fn a_replaced_program_keeps_its_path() {
        assert_eq!(
            without_deleted("/bin/x (deleted)".into()),
            Path::new("/bin/x")
        );
        assert_eq!(without_deleted("/bin/x".into()), Path::new("/bin/x"));
    }

    #[test]
    fn nobody_signals_everybody() {
        for pid in [1, 0, -1, -7] {
            let error = signal_group(pid, Signal::Continue).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{pid}");
        }
    }

    #[test]
    fn this_process_has_threads_and_a_parent() {
        assert!(thread_count().unwrap() >= 1);
        assert!(current_pid() > 0);
        assert!(parent_pid() >= 0);
    }
}
