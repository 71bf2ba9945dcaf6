//! Starting a child inside a control group.
//!
//! Who moves a living process into a group waits until nobody on the machine is in the middle of a fork or
//! an exit, which takes tens of milliseconds. Who is born there costs nothing of that. `posix_spawn` has no
//! word for it, so this is a fork: between it and the exec the child makes system calls, and nothing else
//! (no memory is asked for, no lock is taken), as another thread may hold whatever there is to hold.

use std::collections::BTreeMap;
use std::ffi::{CString, OsString, c_char};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::ptr;

use super::{Child, Launch};
use crate::cgroup::Cgroup;
use crate::pidfd::PidFd;
use crate::pipe;

/// The child has our handlers no more, but ignores what we ignore.
const CLEAR_HANDLERS: u64 = 0x1_0000_0000;
/// It is born in the group of `clone_args::cgroup`. Linux 5.7.
const INTO_CGROUP: u64 = 0x2_0000_0000;

/// What came of it.
pub(super) enum Birth {
    /// It is in the group.
    Inside(Child),
    /// Not here: the kernel is too old, or forbids it.
    Refused,
}

/// What the child needs, made before it is there.
struct Program {
    file: CString,
    /// Each ends with a null.
    argv: Vec<*const c_char>,
    environment: Vec<*const c_char>,
    /// What they point to.
    _texts: Vec<CString>,
}

/// Starts a child in `group`, in a process group of its own.
pub(super) fn launch(launch: &Launch<'_>, group: &Cgroup) -> io::Result<Birth> {
    let program = Program::of(launch)?;
    let stdio = [
        Some(&launch.stdin),
        launch.stdout.as_ref(),
        launch.stderr.as_ref(),
    ];
    if stdio.iter().flatten().any(|fd| fd.as_raw_fd() <= 2) {
        return Ok(Birth::Refused);
    }
    let Ok(group) = group.open() else {
        return Ok(Birth::Refused);
    };
    let (trouble, teller) = pipe::pipe()?;
    match fork_into(group.as_fd()) {
        Err(_) => Ok(Birth::Refused),
        Ok(None) => program.run(stdio, teller.as_fd()),
        Ok(Some(child)) => {
            drop(teller);
            born(child, &trouble)
        }
    }
}

/// Whether the child has become the program.
fn born(child: Child, trouble: &OwnedFd) -> io::Result<Birth> {
    let mut number = [0; size_of::<i32>()];
    match pipe::read(trouble.as_fd(), &mut number) {
        // Its end was closed by the exec, or it was killed, of which its handle tells.
        Ok(0) => Ok(Birth::Inside(child)),
        Ok(_) => {
            child.pidfd.wait_until_dead()?;
            Err(io::Error::from_raw_os_error(i32::from_ne_bytes(number)))
        }
        Err(error) => {
            child.pidfd.signal(crate::signal::Signal::Kill)?;
            child.pidfd.wait_until_dead()?;
            Err(error)
        }
    }
}

/// The child, or `None` in the child itself.
fn fork_into(group: BorrowedFd<'_>) -> io::Result<Option<Child>> {
    let mut pidfd: RawFd = -1;
    let number = |fd: i32| u64::try_from(fd).expect("it is open or a constant");
    let place = ptr::from_mut(&mut pidfd).expose_provenance();
    let arguments = libc::clone_args {
        flags: number(libc::CLONE_PIDFD) | CLEAR_HANDLERS | INTO_CGROUP,
        pidfd: u64::try_from(place).expect("an address has 64 bits at most"),
        child_tid: 0,
        parent_tid: 0,
        exit_signal: number(libc::SIGCHLD),
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: number(group.as_raw_fd()),
    };
    let (first, size) = (ptr::from_ref(&arguments), size_of::<libc::clone_args>());
    // SAFETY: the arguments are those of a fork; the pidfd is written to a place that outlives the call. The
    // child goes on with a copy of this thread alone, and `Program::run` asks nothing of the others.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, first, size) };
    match i32::try_from(pid) {
        Ok(0) => Ok(None),
        Ok(pid) if pid > 0 => {
            // SAFETY: the kernel has made it for us, and nobody else knows of it.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            let pidfd = PidFd::from_fd(pidfd);
            Ok(Some(Child { pid, pidfd }))
        }
        Ok(_) | Err(_) => Err(io::Error::last_os_error()),
    }
}

impl Program {
    fn of(launch: &Launch<'_>) -> io::Result<Program> {
        let mut environment: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
        environment.extend(launch.environment.iter().cloned());
        let mut texts = Vec::new();
        let mut list = |all: Vec<Vec<u8>>| {
            let mut pointers = Vec::with_capacity(all.len() + 1);
            for text in all {
                let text = CString::new(text)?;
                // What it points to stays where it is when the text is moved.
                pointers.push(text.as_ptr());
                texts.push(text);
            }
            pointers.push(ptr::null());
            io::Result::Ok(pointers)
        };
        let given = launch.args.iter().cloned();
        let argv = [launch.argv0.clone()].into_iter().chain(given);
        let argv = list(argv.map(OsString::into_vec).collect())?;
        let pairs = environment.into_iter().map(|(name, value)| {
            let (name, value) = (name.into_vec(), value.into_vec());
            [&name[..], &value].join(&b'=')
        });
        let environment = list(pairs.collect())?;
        let file = format!("/proc/self/fd/{}", launch.executable.file.as_raw_fd());
        Ok(Program {
            file: CString::new(file)?,
            argv,
            environment,
            _texts: texts,
        })
    }

    /// In the child: becomes the program, or says why not.
    fn run(&self, stdio: [Option<&OwnedFd>; 3], teller: BorrowedFd<'_>) -> ! {
        let error = match arrange(stdio) {
            Ok(()) => self.execute(),
            Err(error) => error,
        };
        let number = error.raw_os_error().unwrap_or(libc::EINVAL);
        let _unheard = rustix::io::write(teller, &number.to_ne_bytes());
        // SAFETY: it ends this process at once, and runs nothing of what the parent has arranged for its end.
        unsafe { libc::_exit(127) }
    }

    fn execute(&self) -> io::Error {
        let (argv, environment) = (self.argv.as_ptr(), self.environment.as_ptr());
        // SAFETY: each list ends with a null, and what it points to lives as long as `self`.
        let _never = unsafe { libc::execve(self.file.as_ptr(), argv, environment) };
        io::Error::last_os_error()
    }
}

/// What `posix_spawn` would do for [`super::launch`].
fn arrange([stdin, stdout, stderr]: [Option<&OwnedFd>; 3]) -> io::Result<()> {
    rustix::process::setpgid(None, None)?;
    // SAFETY: no handler is installed. (Rust ignores it, and a program expects that nobody does.)
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    stdin.map_or(Ok(()), rustix::stdio::dup2_stdin)?;
    stdout.map_or(Ok(()), rustix::stdio::dup2_stdout)?;
    stderr.map_or(Ok(()), rustix::stdio::dup2_stderr)?;
    Ok(())
}
