//! What a master tells its keeper.

use super::{Key, MAX_FRAME, MAX_NOTIFY, Prefix};
use crate::frame::{self, FrameError, Message, Necessity};
use crate::reader::{Reader, read_u32};
use crate::text;

/// From the master to the keeper.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ToKeeper {
    /// The master is alive: a turn of its loop is complete.
    Beat,
    /// The herd's processes live in this control group: kill what is in it, then remove it.
    Cgroup(Vec<u8>),
    /// This private runtime directory is to be removed.
    Directory(Vec<u8>),
    /// What is stored under this key is needed no more.
    Forget {
        /// What it is called.
        key: Key,
    },
    /// What is stored under any key that begins so is needed no more.
    ForgetAll {
        /// The beginning.
        prefix: Prefix,
    },
    /// How long the processes of a dead master have between SIGTERM and SIGKILL.
    Grace {
        /// In milliseconds.
        millis: u32,
    },
    /// The master has become another build, and wants to have what is stored as a new one gets it. It is
    /// not in charge until it says so.
    HandOver,
    /// The master is set up and does its work. If it dies from now on, another takes over.
    InCharge,
    /// The herd has ended: start no other master when this one ends.
    Leaving,
    /// What the operator has said by these signals is written down for the next master, or done: they need
    /// not be said to it again. A master that says this of no signal before it is in charge will say it of
    /// each. (Keepers that do not know of it have never kept a signal.)
    Obeyed {
        /// Signal N is bit N−1.
        signals: u64,
    },
    /// Lines for the service manager, as `sd_notify(3)` has them: at most
    /// [`MAX_NOTIFY`] bytes, no NUL.
    Notify {
        /// The lines.
        text: String,
    },
    /// The master sleeps until something happens, and says [`Beat`](ToKeeper::Beat) first when it wakes: until
    /// then it has nothing to do that it could hang in. It is for keepers that have said
    /// [`LetsRest`](super::FromKeeper::LetsRest).
    Rest,
    /// This socket file is to be removed, if it is still the same file.
    SocketFile {
        /// Where it is.
        path: Vec<u8>,
        /// Device number of the file system that it was made on.
        dev: u64,
        /// Inode number that it was made with.
        inode: u64,
    },
    /// Keep the packet's only descriptor for the next master; it replaces one of the same key.
    Store {
        /// What it is called.
        key: Key,
        /// The process that it belongs to, whose death the next master wants to know of; 0 = none.
        pid: i32,
    },
    /// How long the master may be without a [`Beat`](ToKeeper::Beat) once it is in charge before
    /// it counts as hung and is killed.
    Watchdog {
        /// In milliseconds; 0 = for ever.
        millis: u32,
    },
}

mod kind {
    pub(super) const CGROUP: u16 = 0x0201;
    pub(super) const DIRECTORY: u16 = 0x0202;
    pub(super) const SOCKET_FILE: u16 = 0x0203;
    pub(super) const GRACE: u16 = 0x0204;
    pub(super) const STORE: u16 = 0x0205;
    pub(super) const FORGET: u16 = 0x0206;
    pub(super) const FORGET_ALL: u16 = 0x0207;
    pub(super) const IN_CHARGE: u16 = 0x0208;
    pub(super) const BEAT: u16 = 0x0209;
    pub(super) const WATCHDOG: u16 = 0x020a;
    pub(super) const LEAVING: u16 = 0x020b;
    pub(super) const NOTIFY: u16 = 0x020c;
    pub(super) const HAND_OVER: u16 = 0x020d;
    pub(super) const OBEYED: u16 = 0x020e;
    pub(super) const REST: u16 = 0x020f;
}

impl ToKeeper {
    /// Appends this message as one frame. On error `out` is as it was.
    ///
    /// # Errors
    ///
    /// [`FrameError::TooLong`] for a path that does not fit, [`FrameError::BadBody`] for one that
    /// is empty or holds a NUL byte, as for such a text.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), FrameError> {
        frame::encode(self, out)
    }

    /// Decodes a packet; `None` when its kind is unknown and optional.
    ///
    /// # Errors
    ///
    /// Any [`FrameError`].
    pub fn decode(packet: &[u8]) -> Result<Option<ToKeeper>, FrameError> {
        frame::decode_one(packet)
    }
}

impl Message for ToKeeper {
    const MAX_FRAME: usize = MAX_FRAME;

    fn kind(&self) -> (u16, Necessity) {
        let kind = match self {
            ToKeeper::Beat => kind::BEAT,
            ToKeeper::Cgroup(_) => kind::CGROUP,
            ToKeeper::Directory(_) => kind::DIRECTORY,
            ToKeeper::Forget { .. } => kind::FORGET,
            ToKeeper::ForgetAll { .. } => kind::FORGET_ALL,
            ToKeeper::Grace { .. } => kind::GRACE,
            ToKeeper::HandOver => kind::HAND_OVER,
            ToKeeper::InCharge => kind::IN_CHARGE,
            ToKeeper::Leaving => kind::LEAVING,
            ToKeeper::Notify { .. } => kind::NOTIFY,
            ToKeeper::Obeyed { .. } => return (kind::OBEYED, Necessity::Optional),
            ToKeeper::Rest => kind::REST,
            ToKeeper::SocketFile { .. } => kind::SOCKET_FILE,
            ToKeeper::Store { .. } => kind::STORE,
            ToKeeper::Watchdog { .. } => kind::WATCHDOG,
        };
        (kind, Necessity::Mandatory)
    }

    fn write_body(&self, out: &mut Vec<u8>) -> Result<(), FrameError> {
        let (kind, _) = self.kind();
        let sound = |bytes: Option<&[u8]>, out: &mut Vec<u8>| {
            out.extend_from_slice(bytes.ok_or(FrameError::BadBody { kind })?);
            Ok(())
        };
        match self {
            ToKeeper::Beat
            | ToKeeper::HandOver
            | ToKeeper::InCharge
            | ToKeeper::Leaving
            | ToKeeper::Rest => {}
            ToKeeper::Cgroup(path) | ToKeeper::Directory(path) => sound(usable(path), out)?,
            ToKeeper::Forget { key } => out.extend_from_slice(key.as_str().as_bytes()),
            ToKeeper::ForgetAll { prefix } => out.extend_from_slice(prefix.as_str().as_bytes()),
            ToKeeper::Grace { millis } | ToKeeper::Watchdog { millis } => {
                out.extend_from_slice(&millis.to_le_bytes());
            }
            ToKeeper::Notify { text } => {
                sound(usable(text::truncate(text, MAX_NOTIFY).as_bytes()), out)?;
            }
            ToKeeper::Obeyed { signals } => out.extend_from_slice(&signals.to_le_bytes()),
            ToKeeper::SocketFile { path, dev, inode } => {
                out.extend_from_slice(&dev.to_le_bytes());
                out.extend_from_slice(&inode.to_le_bytes());
                sound(usable(path), out)?;
            }
            ToKeeper::Store { key, pid } => {
                out.extend_from_slice(&pid.to_le_bytes());
                out.extend_from_slice(key.as_str().as_bytes());
            }
        }
        Ok(())
    }

    fn read_body(kind: u16, body: &[u8]) -> Result<Option<Self>, FrameError> {
        let message = match kind {
            kind::BEAT => nothing(body).map(|()| ToKeeper::Beat),
            kind::CGROUP => usable(body).map(|path| ToKeeper::Cgroup(path.to_vec())),
            kind::DIRECTORY => usable(body).map(|path| ToKeeper::Directory(path.to_vec())),
            kind::FORGET => Key::from_bytes(body).map(|key| ToKeeper::Forget { key }),
            kind::FORGET_ALL => {
                Prefix::from_bytes(body).map(|prefix| ToKeeper::ForgetAll { prefix })
            }
            kind::GRACE => read_u32(body).map(|millis| ToKeeper::Grace { millis }),
            kind::HAND_OVER => nothing(body).map(|()| ToKeeper::HandOver),
            kind::IN_CHARGE => nothing(body).map(|()| ToKeeper::InCharge),
            kind::LEAVING => nothing(body).map(|()| ToKeeper::Leaving),
            kind::NOTIFY => read_notify(body),
            kind::OBEYED => read_obeyed(body),
            kind::REST => nothing(body).map(|()| ToKeeper::Rest),
            kind::SOCKET_FILE => read_socket_file(body),
            kind::STORE => read_store(body),
            kind::WATCHDOG => read_u32(body).map(|millis| ToKeeper::Watchdog { millis }),
            _ => return Ok(None),
        };
        message.map(Some).ok_or(FrameError::BadBody { kind })
    }
}

fn nothing(body: &[u8]) -> Option<()> {
    body.is_empty().then_some(())
}

/// `bytes`, if the kernel could take them: an empty path or one with a NUL names no file.
fn usable(bytes: &[u8]) -> Option<&[u8]> {
    (!bytes.is_empty() && !bytes.contains(&0)).then_some(bytes)
}

fn read_notify(body: &[u8]) -> Option<ToKeeper> {
    let text = std::str::from_utf8(usable(body)?).ok()?.to_owned();
    (text.len() <= MAX_NOTIFY).then_some(ToKeeper::Notify { text })
}

fn read_obeyed(body: &[u8]) -> Option<ToKeeper> {
    let mut fields = Reader::new(body);
    let signals = fields.u64()?;
    fields.finish(ToKeeper::Obeyed { signals })
}

fn read_socket_file(body: &[u8]) -> Option<ToKeeper> {
    let mut fields = Reader::new(body);
    let (dev, inode) = (fields.u64()?, fields.u64()?);
    let path = usable(fields.remainder())?.to_vec();
    Some(ToKeeper::SocketFile { path, dev, inode })
}

fn read_store(body: &[u8]) -> Option<ToKeeper> {
    let mut fields = Reader::new(body);
    let pid = fields.i32()?;
    let key = Key::from_bytes(fields.remainder())?;
    Some(ToKeeper::Store { key, pid })
}
