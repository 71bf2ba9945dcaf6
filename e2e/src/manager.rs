//! A stand-in for a service manager: it starts a program with `NOTIFY_SOCKET`, keeps the listeners that this gives
//! it, and starts the program again with them when it has ended.

use crate::herd::{Herd, Setup};
use crate::scene::Scene;
use crate::wait;
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketAddrUnix,
    SocketFlags, SocketType, bind, recvmsg, socket_with,
};
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

/// The longest message, and the most descriptors with one.
const LONGEST: usize = 4096;
const MOST: usize = 16;

/// The service manager of one service.
#[derive(Debug)]
pub struct Manager {
    path: PathBuf,
    socket: OwnedFd,
    /// What it was given, by name, in the order of the giving.
    pub store: Vec<(String, OwnedFd)>,
    /// Every line that it was told.
    pub told: Vec<String>,
}

impl Manager {
    /// Of a service in this scene.
    ///
    /// # Panics
    /// When its socket cannot be made.
    pub fn new(scene: &Scene) -> Manager {
        let path = scene.directory().join("notify");
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)
            .expect("a socket needs one descriptor");
        let address = SocketAddrUnix::new(&path).expect("a scene's path is short");
        bind(&socket, &address).expect("nobody has this path");
        Manager {
            path,
            socket,
            store: Vec::new(),
            told: Vec::new(),
        }
    }

    /// Prepares the start of `program`, a setup that takes arguments: with what is in the store, by `LISTEN_FDS`.
    ///
    /// # Panics
    /// When a stored descriptor is not open.
    pub fn service(&self, scene: &Scene, program: PathBuf, arguments: &[&str]) -> Setup {
        // The descriptors have to be the first after the standard streams, and their number and the pid are to be
        // in the environment: a shell does that, and becomes the program.
        let mut script = String::new();
        for (number, (_, descriptor)) in self.store.iter().enumerate() {
            let raw = descriptor.as_raw_fd();
            script.push_str(&format!("exec {}<&{raw} {raw}<&-; ", number + 3));
            fcntl_setfd(descriptor, FdFlags::empty()).expect("it is open");
        }
        let names: Vec<&str> = self.store.iter().map(|(name, _)| name.as_str()).collect();
        if !names.is_empty() {
            script.push_str(&format!(
                "export LISTEN_PID=$$ LISTEN_FDS={} LISTEN_FDNAMES={}; ",
                names.len(),
                names.join(":")
            ));
        }
        script.push_str("exec \"$@\"");
        // Not every `sh` can name a descriptor of two digits.
        let setup = scene.program("bash").args(["-c", &script, "bash"]);
        let setup = setup.arg(program).args(arguments);
        setup.env("NOTIFY_SOCKET", &self.path).env("FDSTORE", "64")
    }

    /// Takes what was sent, until `wanted` was told.
    ///
    /// # Panics
    /// When that is not within `within`.
    #[track_caller]
    pub fn wait_for(&mut self, wanted: &str, within: Duration, herd: &Herd) {
        let found = wait::attempt(within, || {
            while self.receive() {}
            self.told.iter().any(|line| line == wanted).then_some(())
        });
        assert!(
            found.is_some(),
            "{wanted} was not told within {within:?}, only {:?}; {:?}",
            self.told,
            herd.lines()
        );
    }

    /// Forgets what was told, not what was given.
    pub fn forget_told(&mut self) {
        while self.receive() {}
        self.told.clear();
    }

    /// Takes one message, if there is one.
    fn receive(&mut self) -> bool {
        let mut bytes = [0; LONGEST];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let Ok(received) = recvmsg(
            &self.socket,
            &mut parts,
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        ) else {
            return false;
        };
        let mut descriptors = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(sent) = message {
                descriptors.extend(sent);
            }
        }
        let text = String::from_utf8_lossy(&bytes[..received.bytes]).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        let name = lines.iter().find_map(|line| line.strip_prefix("FDNAME="));
        let name = name.unwrap_or("stored");
        if lines.contains(&"FDSTOREREMOVE=1") {
            self.store.retain(|(held, _)| held != name);
        } else if lines.contains(&"FDSTORE=1") {
            // The last one of a name is the one to keep.
            for descriptor in descriptors {
                self.store.retain(|(held, _)| held != name);
                self.store.push((name.to_owned(), descriptor));
            }
        }
        self.told.extend(lines.into_iter().map(str::to_owned));
        true
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        // What a scene finds of it would be left behind by nobody.
        let _gone = std::fs::remove_file(&self.path);
    }
}
