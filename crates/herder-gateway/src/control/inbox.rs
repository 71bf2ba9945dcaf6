//! What the master says.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use herder_sys::socket::Received;
use herder_wire::frame::FrameError;
use herder_wire::gateway::{Decoder, MAX_FRAME, ToGateway};
use herder_wire::proxy::CertificateFiles;

use super::channel::Channel;
use crate::hub::shell::LinkEnds;

/// One thing that the master said.
#[derive(Debug)]
pub(crate) enum Order {
    /// The way to a worker; `None` = there was no room for the descriptors in this process.
    Link { worker: u64, ends: Option<LinkEnds> },
    /// Files of a certificate; `None` = they could not be opened, or there was no room for them.
    Certificate {
        files: Box<CertificateFiles>,
        open: Option<CertificateEnds>,
    },
    /// Anything else; never `ToGateway::Link` and never `ToGateway::Certificate`.
    Plain(ToGateway),
}

/// The two files of a certificate.
#[derive(Debug)]
pub(crate) struct CertificateEnds {
    pub(crate) chain: OwnedFd,
    pub(crate) key: OwnedFd,
}

impl Order {
    /// What it is called.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Order::Link { .. } | Order::Plain(ToGateway::Link { .. }) => "Link",
            Order::Plain(ToGateway::Admit { .. }) => "Admit",
            Order::Plain(ToGateway::Backend(_)) => "Backend",
            Order::Certificate { .. } | Order::Plain(ToGateway::Certificate(_)) => "Certificate",
            Order::Plain(ToGateway::CloseListeners { .. }) => "CloseListeners",
            Order::Plain(ToGateway::Configure(_)) => "Configure",
            Order::Plain(ToGateway::Drain { .. }) => "Drain",
            Order::Plain(ToGateway::Expect { .. }) => "Expect",
            Order::Plain(ToGateway::Gone { .. }) => "Gone",
            Order::Plain(ToGateway::Hold { .. }) => "Hold",
            Order::Plain(ToGateway::Open) => "Open",
            Order::Plain(ToGateway::Proxy(_)) => "Proxy",
            Order::Plain(ToGateway::Resync) => "Resync",
            Order::Plain(ToGateway::Welcome { .. }) => "Welcome",
            Order::Plain(ToGateway::Withdraw { .. }) => "Withdraw",
            Order::Plain(ToGateway::WithdrawAgain { .. }) => "WithdrawAgain",
        }
    }
}

/// Why the gateway cannot go on with this master.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlFault {
    #[error("it sent other descriptors than it announced")]
    Descriptors,
    #[error("it is gone")]
    Ended,
    #[error("it sent nonsense: {0}")]
    Frame(#[from] FrameError),
    #[error("it sent half a frame")]
    Half,
    #[error("its channel failed: {0}")]
    Io(#[from] io::Error),
    #[error("it named {configured} listeners and passed {passed}")]
    Listeners { configured: usize, passed: usize },
    #[error("it sent a packet of more than {MAX_FRAME} bytes")]
    Long,
    #[error("it said {0} when that made no sense")]
    Unexpected(&'static str),
    #[error("it speaks version {0} of the gateway's protocol, and this gateway another one")]
    Version(u16),
}

/// Where the master's orders come in.
pub(crate) struct Inbox {
    channel: Rc<Channel>,
    decoder: Decoder<ToGateway>,
    room: Vec<u8>,
    fds: Vec<OwnedFd>,
    waiting: VecDeque<Order>,
}

impl Inbox {
    pub(crate) fn new(channel: Rc<Channel>) -> Inbox {
        Inbox {
            channel,
            decoder: Decoder::new(),
            room: vec![0; MAX_FRAME],
            fds: Vec::new(),
            waiting: VecDeque::new(),
        }
    }

    /// The next order. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Result<Order, ControlFault> {
        loop {
            if let Some(order) = self.waiting.pop_front() {
                return Ok(order);
            }
            let received = self.channel.receive(&mut self.room, &mut self.fds).await;
            let received = match received {
                Ok(received) if received.len > 0 => received,
                Ok(_) => return Err(ControlFault::Ended),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return Err(ControlFault::Ended);
                }
                Err(error) => return Err(error.into()),
            };
            self.decode(received)?;
        }
    }

    fn decode(&mut self, received: Received) -> Result<(), ControlFault> {
        if received.data_truncated {
            return Err(ControlFault::Long);
        }
        self.decoder.push(&self.room[..received.len]);
        let (mut frames, mut links) = (0, 0);
        while let Some(frame) = self.decoder.next()? {
            frames += 1;
            links += usize::from(brings_descriptors(&frame));
            let order = if let ToGateway::Link { worker } = frame {
                let ends = two(&mut self.fds);
                let ends = ends.map(|(ours, theirs)| LinkEnds { ours, theirs });
                Order::Link { worker, ends }
            } else if let ToGateway::Certificate(files) = frame {
                let open = if files.has_descriptors() {
                    two(&mut self.fds)
                } else {
                    None
                };
                let open = open.map(|(chain, key)| CertificateEnds { chain, key });
                Order::Certificate { files, open }
            } else {
                Order::Plain(frame)
            };
            self.waiting.push_back(order);
        }
        if !self.decoder.is_empty() {
            return Err(ControlFault::Half);
        }
        let complete = |order: &Order| match order {
            Order::Link { ends, .. } => ends.is_some(),
            Order::Certificate { files, open } => open.is_some() == files.has_descriptors(),
            Order::Plain(_) => true,
        };
        let lost = received.descriptors_lost && links == 1;
        let matching = self.fds.is_empty() && (lost || self.waiting.iter().all(complete));
        self.fds.clear();
        if !matching || links > 0 && frames > 1 || received.descriptors_lost && !lost {
            return Err(ControlFault::Descriptors);
        }
        Ok(())
    }
}

/// Whether two descriptors come with it.
fn brings_descriptors(frame: &ToGateway) -> bool {
    if let ToGateway::Certificate(files) = frame {
        return files.has_descriptors();
    }
    matches!(frame, ToGateway::Link { .. })
}

/// The two descriptors, if both arrived.
fn two(fds: &mut Vec<OwnedFd>) -> Option<(OwnedFd, OwnedFd)> {
    let second = fds.pop()?;
    let first = fds.pop()?;
    Some((first, second))
}
