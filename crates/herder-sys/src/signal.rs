//! Signals: names, receiving them as events, and a clean slate for a new program.

use std::fmt;
use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

/// The signals that herder sends, receives or has to name in a log line.
///
/// Real-time signals are not among them: nothing here uses one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    /// SIGABRT: an abort or a failed assertion.
    Abort,
    /// SIGALRM.
    Alarm,
    /// SIGBUS.
    Bus,
    /// SIGCHLD: a child died or stopped.
    Child,
    /// SIGCONT.
    Continue,
    /// SIGXCPU: the processor-time limit was reached.
    CpuLimit,
    /// SIGXFSZ: the file-size limit was reached.
    FileSize,
    /// SIGFPE.
    FloatingPoint,
    /// SIGHUP: reload.
    Hangup,
    /// SIGILL.
    Illegal,
    /// SIGINT: graceful stop, from the terminal.
    Interrupt,
    /// SIGKILL.
    Kill,
    /// SIGPIPE.
    Pipe,
    /// SIGQUIT: graceful stop.
    Quit,
    /// SIGSEGV.
    Segv,
    /// SIGSTOP.
    Stop,
    /// SIGSYS: a system call that a filter forbids.
    System,
    /// SIGTERM: graceful stop.
    Terminate,
    /// SIGTRAP.
    Trap,
    /// SIGTTIN: one worker more.
    Ttin,
    /// SIGTTOU: one worker fewer.
    Ttou,
    /// SIGUSR1: reopen logs.
    User1,
    /// SIGUSR2: upgrade.
    User2,
    /// SIGWINCH: the terminal changed its size.
    Window,
}

/// Every signal with its number on this machine and its name.
const TABLE: [(Signal, i32, &str); 24] = [
    (Signal::Abort, libc::SIGABRT, "SIGABRT"),
    (Signal::Alarm, libc::SIGALRM, "SIGALRM"),
    (Signal::Bus, libc::SIGBUS, "SIGBUS"),
    (Signal::Child, libc::SIGCHLD, "SIGCHLD"),
    (Signal::Continue, libc::SIGCONT, "SIGCONT"),
    (Signal::CpuLimit, libc::SIGXCPU, "SIGXCPU"),
    (Signal::FileSize, libc::SIGXFSZ, "SIGXFSZ"),
    (Signal::FloatingPoint, libc::SIGFPE, "SIGFPE"),
    (Signal::Hangup, libc::SIGHUP, "SIGHUP"),
    (Signal::Illegal, libc::SIGILL, "SIGILL"),
    (Signal::Interrupt, libc::SIGINT, "SIGINT"),
    (Signal::Kill, libc::SIGKILL, "SIGKILL"),
    (Signal::Pipe, libc::SIGPIPE, "SIGPIPE"),
    (Signal::Quit, libc::SIGQUIT, "SIGQUIT"),
    (Signal::Segv, libc::SIGSEGV, "SIGSEGV"),
    (Signal::Stop, libc::SIGSTOP, "SIGSTOP"),
    (Signal::System, libc::SIGSYS, "SIGSYS"),
    (Signal::Terminate, libc::SIGTERM, "SIGTERM"),
    (Signal::Trap, libc::SIGTRAP, "SIGTRAP"),
    (Signal::Ttin, libc::SIGTTIN, "SIGTTIN"),
    (Signal::Ttou, libc::SIGTTOU, "SIGTTOU"),
    (Signal::User1, libc::SIGUSR1, "SIGUSR1"),
    (Signal::User2, libc::SIGUSR2, "SIGUSR2"),
    (Signal::Window, libc::SIGWINCH, "SIGWINCH"),
];

impl Signal {
    /// The number that the kernel uses for it.
    #[must_use]
    pub fn number(self) -> i32 {
        self.row().1
    }

    /// The signal with this number, if it is one of ours.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Signal> {
        TABLE.iter().find(|row| row.1 == number).map(|row| row.0)
    }

    /// Its usual name, for instance `SIGTERM`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().2
    }

    fn row(self) -> &'static (Signal, i32, &'static str) {
        // The table is in the order of the variants, which a test holds true.
        &TABLE[self as usize]
    }

    pub(crate) fn to_rustix(self) -> rustix::process::Signal {
        rustix::process::Signal::from_named_raw(self.number())
            .expect("every signal in the table is one that rustix names")
    }
}

/// Whether programs can be sent the signal of this number.
#[must_use]
pub fn is_number(number: i32) -> bool {
    numbered(number).is_some()
}

/// The signal of this number, unless it is one of the C library's own.
pub(crate) fn numbered(number: i32) -> Option<rustix::process::Signal> {
    let named = rustix::process::Signal::from_named_raw(number);
    let is_real_time = (libc::SIGRTMIN()..=libc::SIGRTMAX()).contains(&number);
    named.or_else(|| {
        // SAFETY: it is a real-time signal, and none of those that the C library keeps to itself.
        is_real_time.then(|| unsafe { rustix::process::Signal::from_raw_unchecked(number) })
    })
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of signals that arrive as readable events of a descriptor instead of interrupting.
///
/// Dropping it closes the descriptor; the signals stay blocked, because a pending one would
/// otherwise strike at that moment.
#[derive(Debug)]
pub struct SignalFd {
    fd: OwnedFd,
}

impl SignalFd {
    /// Blocks `signals` for the calling thread and opens a non-blocking descriptor for them.
    ///
    /// Call it before the first other thread exists: threads inherit the blocked set, and a
    /// thread without it would receive the signal in the old way. Children inherit it too;
    /// [`reset_all`] undoes it there.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub fn block(signals: &[Signal]) -> io::Result<SignalFd> {
        let set = set_of(signals);
        change_mask(libc::SIG_BLOCK, &set)?;
        // SAFETY: `set` is a valid, initialised signal set; -1 asks for a new descriptor.
        let raw =
            unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        if raw < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just made this descriptor for us, nobody else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(raw) };
        Ok(SignalFd { fd })
    }

    /// The next signal that arrived; `None` when there is none at the moment.
    ///
    /// Equal signals that arrive before the first is read are one.
    ///
    /// # Errors
    /// Those of `read(2)`, except the two that only mean "nothing now".
    pub fn read(&self) -> io::Result<Option<Signal>> {
        loop {
            let mut info = MaybeUninit::<libc::signalfd_siginfo>::zeroed();
            let size = size_of::<libc::signalfd_siginfo>();
            // SAFETY: `info` is writable for exactly `size` bytes.
            let got = unsafe { libc::read(self.fd.as_raw_fd(), info.as_mut_ptr().cast(), size) };
            if got < 0 {
                let error = io::Error::last_os_error();
                if error.kind() == io::ErrorKind::Interrupted {
                    continue;
                }
                return if error.kind() == io::ErrorKind::WouldBlock {
                    Ok(None)
                } else {
                    Err(error)
                };
            }
            // SAFETY: all-zero bytes are a valid value of this plain structure, and the kernel
            // writes it as a whole or not at all.
            let info = unsafe { info.assume_init() };
            if let Some(signal) = i32::try_from(info.ssi_signo)
                .ok()
                .and_then(Signal::from_number)
            {
                return Ok(Some(signal));
            }
        }
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Gives a fresh process its clean slate: no signal is ignored, none is blocked.
///
/// A blocked mask and ignored signals survive both `posix_spawn` and `execve`; a program that
/// inherits them cannot be stopped with SIGTERM. Handlers need no care here: `execve` removes
/// them, and a Rust process that goes on keeps the one that reports a stack overflow.
///
/// SIGPIPE becomes deadly again, as every program expects; a Rust worker that goes on calls
/// [`ignore_sigpipe`] after it. Signals that were pending are delivered at once.
///
/// # Errors
/// Those of `sigaction(2)`, which has none for the signals asked here.
pub fn reset_all() -> io::Result<()> {
    reset_all_but(&[])
}

/// As [`reset_all`], but these stay blocked, or become so: for a process that is about to open a
/// [`SignalFd`] for them. What was pending stays pending until then.
///
/// # Errors
/// As [`reset_all`].
pub fn reset_all_but(blocked: &[Signal]) -> io::Result<()> {
    for number in 1..=libc::SIGRTMAX() {
        // The two that cannot change, and the two between 31 and SIGRTMIN that belong to the C
        // library and that it refuses to touch.
        let libc_own = number > 31 && number < libc::SIGRTMIN();
        if number != libc::SIGKILL && number != libc::SIGSTOP && !libc_own {
            default_if_ignored(number)?;
        }
    }
    change_mask(libc::SIG_SETMASK, &set_of(blocked))
}

/// Makes a write to a closed pipe or socket an `EPIPE` error instead of a death.
///
/// # Errors
/// Those of `sigaction(2)`, which has none for this signal.
pub fn ignore_sigpipe() -> io::Result<()> {
    set_disposition(libc::SIGPIPE, libc::SIG_IGN)
}

/// Sets a signal to its default action when it is ignored; a handler stays.
pub(crate) fn default_if_ignored(number: i32) -> io::Result<()> {
    let mut old = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a null new action only asks; `old` is writable.
    let failed = unsafe { libc::sigaction(number, ptr::null(), old.as_mut_ptr()) } != 0;
    if failed {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: zeroed is valid for this plain structure, and the call filled it.
    let old = unsafe { old.assume_init() };
    if old.sa_sigaction == libc::SIG_IGN {
        set_disposition(number, libc::SIG_DFL)?;
    }
    Ok(())
}

fn set_disposition(number: i32, disposition: libc::sighandler_t) -> io::Result<()> {
    let action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: all-zero bytes are a valid value: no flags, an empty mask, the default action.
    let mut action = unsafe { action.assume_init() };
    action.sa_sigaction = disposition;
    // SAFETY: `action` is valid, and SIG_DFL or SIG_IGN name no code that could be unsound.
    let failed = unsafe { libc::sigaction(number, &raw const action, ptr::null_mut()) } != 0;
    if failed {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

fn set_of(signals: &[Signal]) -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `set` is writable; the call initialises it and cannot fail for a valid pointer.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: initialised by the call above.
    let mut set = unsafe { set.assume_init() };
    for signal in signals {
        // SAFETY: `set` is valid and the number is one of a real signal.
        unsafe { libc::sigaddset(&raw mut set, signal.number()) };
    }
    set
}

fn change_mask(how: i32, set: &libc::sigset_t) -> io::Result<()> {
    // SAFETY: `set` is valid; the old mask is not asked for.
    let error = unsafe { libc::pthread_sigmask(how, set, ptr::null_mut()) };
    if error == 0 {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_variants() {
        for (place, (signal, number, name)) in TABLE.into_iter().enumerate() {
            assert_eq!(signal as usize, place, "{name}");
            assert_eq!(signal.number(), number);
            assert_eq!(Signal::from_number(number), Some(signal));
            assert_eq!(signal.to_string(), name);
            assert_eq!(signal.to_rustix().as_raw(), number);
        }
        assert_eq!(Signal::from_number(0), None);
    }
}
