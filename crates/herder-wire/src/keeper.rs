//! What the master tells the keeper, which cleans up after a master that died.
//!
//! The frames are those of [`crate::frame`], one in each packet, at most [`MAX_FRAME`] bytes. A
//! keeper lives longer than the masters that it restarts, so it may be older than the one that
//! talks to it: what it must not miss is mandatory, the rest it skips.

use crate::frame::{self, FrameError, Message, Necessity};
use crate::reader::Reader;

/// The longest frame with its header, in bytes. A path has at most 4096.
pub const MAX_FRAME: usize = 8 * 1024;

/// From the master to the keeper.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ToKeeper {
    /// The herd's processes live in this control group: kill what is in it, then remove it.
    Cgroup(Vec<u8>),
    /// This private runtime directory is to be removed.
    Directory(Vec<u8>),
    /// How long the processes of a dead master have between SIGTERM and SIGKILL.
    Grace {
        /// In milliseconds.
        millis: u32,
    },
    /// This socket file is to be removed, if it is still the same file.
    SocketFile {
        /// Where it is.
        path: Vec<u8>,
        /// Device number of the file system that it was made on.
        dev: u64,
        /// Inode number that it was made with.
        inode: u64,
    },
}

mod kind {
    pub(super) const CGROUP: u16 = 0x0201;
    pub(super) const DIRECTORY: u16 = 0x0202;
    pub(super) const SOCKET_FILE: u16 = 0x0203;
    pub(super) const GRACE: u16 = 0x0204;
}

impl ToKeeper {
    /// Appends this message as one frame. On error `out` is as it was.
    ///
    /// # Errors
    ///
    /// [`FrameError::TooLong`] for a path that does not fit, [`FrameError::BadBody`] for one that
    /// is empty or holds a NUL byte.
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
            ToKeeper::Cgroup(_) => kind::CGROUP,
            ToKeeper::Directory(_) => kind::DIRECTORY,
            ToKeeper::Grace { .. } => kind::GRACE,
            ToKeeper::SocketFile { .. } => kind::SOCKET_FILE,
        };
        (kind, Necessity::Mandatory)
    }

    fn write_body(&self, out: &mut Vec<u8>) -> Result<(), FrameError> {
        let (kind, _) = self.kind();
        match self {
            ToKeeper::Cgroup(path) | ToKeeper::Directory(path) => {
                out.extend_from_slice(usable(path).ok_or(FrameError::BadBody { kind })?);
            }
            ToKeeper::Grace { millis } => out.extend_from_slice(&millis.to_le_bytes()),
            ToKeeper::SocketFile { path, dev, inode } => {
                out.extend_from_slice(&dev.to_le_bytes());
                out.extend_from_slice(&inode.to_le_bytes());
                out.extend_from_slice(usable(path).ok_or(FrameError::BadBody { kind })?);
            }
        }
        Ok(())
    }

    fn read_body(kind: u16, body: &[u8]) -> Result<Option<Self>, FrameError> {
        let message = match kind {
            kind::CGROUP => usable(body).map(|path| ToKeeper::Cgroup(path.to_vec())),
            kind::DIRECTORY => usable(body).map(|path| ToKeeper::Directory(path.to_vec())),
            kind::GRACE => read_grace(body),
            kind::SOCKET_FILE => read_socket_file(body),
            _ => return Ok(None),
        };
        message.map(Some).ok_or(FrameError::BadBody { kind })
    }
}

/// `path`, if the kernel could take it: an empty one or one with a NUL names no file.
fn usable(path: &[u8]) -> Option<&[u8]> {
    (!path.is_empty() && !path.contains(&0)).then_some(path)
}

fn read_grace(body: &[u8]) -> Option<ToKeeper> {
    let mut fields = Reader::new(body);
    let message = ToKeeper::Grace {
        millis: fields.u32()?,
    };
    fields.finish(message)
}

fn read_socket_file(body: &[u8]) -> Option<ToKeeper> {
    let mut fields = Reader::new(body);
    let (dev, inode) = (fields.u64()?, fields.u64()?);
    let path = usable(fields.remainder())?.to_vec();
    Some(ToKeeper::SocketFile { path, dev, inode })
}
