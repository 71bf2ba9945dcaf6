//! How the master's messages to a worker arrive.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use herder_sys::fd::Reserve;
use herder_sys::socket::{self, Wait};
use herder_wire::control::{Decoder, MAX_FRAME, ToWorker};

/// A link to a new gateway may come before the end of the last one was noticed.
#[cfg(feature = "message")]
const LINKS: usize = 2;

/// The reading side of the control channel.
#[derive(Default)]
pub(crate) struct Inlet {
    decoder: Decoder<ToWorker>,
    packet: Vec<u8>,
    /// What came with the last packet and was not taken.
    descriptors: Vec<OwnedFd>,
    reserve: Option<Reserve>,
}

impl Inlet {
    /// From now on there is a place for a link to a gateway even when the program has used up its
    /// descriptors: a link that finds none is lost for good, and every job with it.
    #[cfg(feature = "message")]
    pub(crate) fn reserve_places(&mut self) -> io::Result<()> {
        self.reserve = Some(Reserve::new(LINKS)?);
        Ok(())
    }

    /// The next message, with a descriptor if one came with its packet. `None` = there is none now.
    ///
    /// # Errors
    /// When the master is gone, or what it says is not understood.
    pub(crate) fn next(
        &mut self,
        control: BorrowedFd<'_>,
    ) -> io::Result<Option<(ToWorker, &mut Vec<OwnedFd>)>> {
        loop {
            if let Some(message) = self.decoder.next().map_err(io::Error::other)? {
                return Ok(Some((message, &mut self.descriptors)));
            }
            // They came with a message that has none, or with one too many.
            self.descriptors.drain(..).for_each(socket::discard);
            if !self.receive(control)? {
                return Ok(None);
            }
        }
    }

    fn receive(&mut self, control: BorrowedFd<'_>) -> io::Result<bool> {
        self.packet.resize(MAX_FRAME, 0);
        if let Some(reserve) = &mut self.reserve {
            reserve.release();
        }
        let (packet, descriptors) = (&mut self.packet, &mut self.descriptors);
        let got = socket::receive(control, packet, descriptors, 1, Wait::DontWait);
        if let Some(reserve) = &mut self.reserve {
            reserve.refill();
        }
        match got {
            Ok(got) if got.len == 0 => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(got) => {
                self.decoder.push(&self.packet[..got.len]);
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }
}
