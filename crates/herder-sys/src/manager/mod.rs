//! The service manager that started this process, as `sd_notify(3)`, `sd_listen_fds(3)`,
//! `sd_watchdog_enabled(3)` and `FileDescriptorStoreMax=` of systemd describe it. Others do the same.

mod voice;

use std::ffi::{OsStr, OsString};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use rustix::io::{FdFlags, retry_on_intr};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType,
};

pub use voice::Voice;

use crate::{env, process};

/// What a service manager tells its service by the environment, and its service alone.
pub const NAMES: [&str; 7] = [
    "FDSTORE",
    "LISTEN_FDNAMES",
    "LISTEN_FDS",
    "LISTEN_PID",
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
];

/// The first descriptor that is passed on.
const FIRST: RawFd = 3;

/// More than any service manager passes on: a number beyond is no number of descriptors.
const MOST: usize = 4096;

/// What the service manager gave this process.
#[derive(Debug, Default)]
pub struct Service {
    /// The manager, if it wants to hear of its service.
    pub manager: Option<Manager>,
    /// How often it wants to hear that the service lives.
    pub watchdog: Option<Duration>,
    /// Descriptors, each with the name that it was given.
    pub descriptors: Vec<(String, OwnedFd)>,
}

/// Somebody who wants to hear how his service fares.
#[derive(Debug)]
pub struct Manager {
    socket: OwnedFd,
    address: SocketAddrUnix,
}

impl Service {
    /// Takes what the environment tells, and takes it out of the environment, so that no child believes
    /// that it was meant. What is not meant for this process is left out; so is what makes no sense.
    ///
    /// # Errors
    /// When the process has more than one thread, or no descriptor is left.
    pub fn take() -> io::Result<Service> {
        env::require_single_thread("take what its service manager has given")?;
        let told = Told::read(|name| std::env::var_os(name));
        for name in NAMES {
            env::remove(name)?;
        }
        let address = told.socket.as_deref().and_then(address);
        Ok(Service {
            manager: address.map(Manager::new).transpose()?,
            watchdog: told.watchdog,
            descriptors: told
                .names
                .into_iter()
                .zip(FIRST..)
                .filter_map(own)
                .collect(),
        })
    }
}

impl Manager {
    /// The manager that listens at this address.
    fn new(address: SocketAddrUnix) -> io::Result<Manager> {
        let (family, flags) = (AddressFamily::UNIX, SocketFlags::CLOEXEC);
        let socket = rustix::net::socket_with(family, SocketType::DGRAM, flags, None)?;
        Ok(Manager { socket, address })
    }

    /// Tells the manager something, and gives it a duplicate of `fd`. Never waits.
    ///
    /// # Errors
    /// `WouldBlock` when it has not read enough; else what `sendmsg` answers: it may be gone.
    pub fn tell(&self, text: &str, fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fd.as_slice().is_empty()
            && !control.push(SendAncillaryMessage::ScmRights(fd.as_slice()))
        {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let data = [IoSlice::new(text.as_bytes())];
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        retry_on_intr(|| {
            rustix::net::sendmsg_addr(&self.socket, &self.address, &data, &mut control, flags)
        })?;
        Ok(())
    }
}

/// What the environment tells this process.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    socket: Option<OsString>,
    watchdog: Option<Duration>,
    /// One for each descriptor.
    names: Vec<String>,
}

impl Told {
    fn read(variable: impl Fn(&str) -> Option<OsString>) -> Told {
        let number = |name: &str| variable(name)?.to_str()?.parse::<u64>().ok();
        let own = u64::try_from(process::current_pid()).ok();
        let is_ours = |name: &str| number(name) == own;
        let count = number("LISTEN_FDS").filter(|_| is_ours("LISTEN_PID"));
        let count = count.and_then(|count| usize::try_from(count).ok());
        let listed = variable("LISTEN_FDNAMES").unwrap_or_default();
        let listed = listed.to_string_lossy();
        let names = listed.split(':').map(str::to_owned);
        let names = names.chain(std::iter::repeat("unknown".to_owned()));
        let is_watched = variable("WATCHDOG_PID").is_none() || is_ours("WATCHDOG_PID");
        let limit = number("WATCHDOG_USEC").filter(|micros| *micros > 0 && is_watched);
        Told {
            socket: variable("NOTIFY_SOCKET"),
            watchdog: limit.map(Duration::from_micros),
            names: names
                .take(count.filter(|it| *it <= MOST).unwrap_or(0))
                .collect(),
        }
    }
}

/// A path, or a name without a file, that begins with `@`. Other kinds exist between machines.
fn address(text: &OsStr) -> Option<SocketAddrUnix> {
    match text.as_bytes() {
        [b'@', name @ ..] => SocketAddrUnix::new_abstract_name(name).ok(),
        path @ [b'/', ..] => SocketAddrUnix::new(path).ok(),
        _ => None,
    }
}

/// Takes a descriptor that was passed on, if it is there.
fn own((name, number): (String, RawFd)) -> Option<(String, OwnedFd)> {
    // SAFETY: it is borrowed for one call, and of a number that is not open the kernel says so.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    rustix::io::fcntl_setfd(borrowed, FdFlags::CLOEXEC).ok()?;
    // SAFETY: it is open, and who started this process says that it is for it to own; that was said once,
    // as it is not in the environment any more.
    Some((name, unsafe { OwnedFd::from_raw_fd(number) }))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    use super::*;

    fn told(variables: &[(&str, &str)]) -> Told {
        Told::read(|wanted| {
            let found = variables.iter().find(|(name, _)| *name == wanted);
            found.map(|(_, value)| value.into())
        })
    }

    #[test]
    fn r29_what_is_meant_for_another_process_is_left_alone() {
        let own = process::current_pid().to_string();
        let both = [("LISTEN_PID", own.as_str()), ("WATCHDOG_PID", &own)];
        let rest = [
            ("LISTEN_FDS", "3"),
            ("LISTEN_FDNAMES", "herd.listener.0:web"),
            ("WATCHDOG_USEC", "30000000"),
            ("NOTIFY_SOCKET", "@x"),
        ];
        let found = told(&[&both[..], &rest].concat());
        assert_eq!(found.names, ["herd.listener.0", "web", "unknown"]);
        assert_eq!(found.watchdog, Some(Duration::from_secs(30)));
        assert_eq!(found.socket, Some("@x".into()));
        let foreign = [("LISTEN_PID", "1"), ("WATCHDOG_PID", "1")];
        let found = told(&[&foreign[..], &rest].concat());
        assert_eq!((found.names.len(), found.watchdog), (0, None));
        assert_eq!(told(&[("WATCHDOG_USEC", "0")]), Told::default());
        let mad = [both[0], ("LISTEN_FDS", "99999999999")];
        assert_eq!(told(&mad).names.len(), 0);
    }

    #[test]
    fn r29_a_manager_without_a_file_hears_and_is_given() {
        let name = format!("herder-manager-{}", process::current_pid());
        let place = SocketAddr::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind_addr(&place).unwrap();
        let manager = Manager::new(address(OsStr::new(&format!("@{name}"))).unwrap()).unwrap();
        let (gift, mut taken) = (crate::fd::null().unwrap(), Vec::new());
        manager.tell("FDSTORE=1", Some(gift.as_fd())).unwrap();
        let mut bytes = [0; 64];
        let wait = crate::socket::Wait::DontWait;
        let got = crate::socket::receive(socket.as_fd(), &mut bytes, &mut taken, 1, wait).unwrap();
        assert_eq!((&bytes[..got.len], taken.len()), (&b"FDSTORE=1"[..], 1));
        manager.tell("READY=1", None).unwrap();
        drop(socket);
        assert!(manager.tell("READY=1", None).is_err());
        assert!(address(OsStr::new("vsock:2:1234")).is_none());
    }
}
