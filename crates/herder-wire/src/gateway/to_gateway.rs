//! The messages to a gateway.

use super::config::GatewayConfig;
use super::{MAX_FRAME, codec};
use crate::control::{read_greeting, write_greeting};
use crate::frame::{self, FrameError, Message, Necessity};
use crate::proxy::{Backend, CertificateFiles, MAX_SETTINGS};
use crate::reader::{Reader, read_number};

/// From the master to a gateway.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ToGateway {
    /// The answer to [`ToMaster::Hello`](crate::control::ToMaster::Hello).
    Welcome {
        /// The master's [`VERSION`](super::VERSION).
        version: u16,
        /// What the master can do beyond that version, one bit each.
        capabilities: u32,
    },
    /// How to work; sent once, after `Welcome`.
    Configure(Box<GatewayConfig>),
    /// As [`ToGateway::Configure`], where the gateway is a proxy: its settings as JSON, at most
    /// [`MAX_SETTINGS`] bytes. Sent again when they have changed.
    Proxy(Vec<u8>),
    /// To a proxy: a worker is being started, or is found to listen elsewhere. It gets nothing
    /// before it is admitted.
    Backend(Box<Backend>),
    /// To a proxy: the files of one of its certificates; a set of them follows `Proxy` where the
    /// settings name certificates, and another one whenever the files have changed. If they could be
    /// opened, the two descriptors of the packet in which this frame is alone are the chain and the
    /// key.
    Certificate(Box<CertificateFiles>),
    /// A worker is being started.
    Expect {
        /// Incarnation of the worker.
        worker: u64,
        /// Place of the worker within its application, from 0.
        slot: u16,
        /// Process number of the worker.
        pid: u32,
    },
    /// The link to a worker: the two descriptors of the packet in which this frame is alone. The
    /// first is the gateway's end. The second is a duplicate of the worker's end, with which the
    /// gateway takes back what the worker has not received.
    Link {
        /// Incarnation of the worker.
        worker: u64,
    },
    /// The worker takes jobs, from its link's `Hello` on.
    Admit {
        /// Incarnation of the worker.
        worker: u64,
    },
    /// The worker gets no new job for now, and those that it has not started go to others.
    Hold {
        /// Incarnation of the worker.
        worker: u64,
    },
    /// The worker gets no new job ever; answered by
    /// [`ToMaster::Withdrawn`](crate::control::ToMaster::Withdrawn).
    Withdraw {
        /// Incarnation of the worker.
        worker: u64,
    },
    /// As [`ToGateway::Withdraw`], of a worker that was admitted again after it had been withdrawn: which
    /// withdrawal this is, from 1, the first one being 0. Answered by
    /// [`ToMaster::WithdrawnAgain`](crate::control::ToMaster::WithdrawnAgain), so that an answer to an
    /// earlier one is not taken for it. A proxy's alone.
    WithdrawAgain {
        /// Incarnation of the worker.
        worker: u64,
        /// Which withdrawal.
        epoch: u32,
    },
    /// The worker is dead.
    Gone {
        /// Incarnation of the worker.
        worker: u64,
    },
    /// Accept clients from now on.
    Open,
    /// Another master has taken over: say [`ToMaster::Empty`](crate::control::ToMaster::Empty) and,
    /// of each worker, [`ToMaster::Unusable`](crate::control::ToMaster::Unusable),
    /// [`ToMaster::Exhausted`](crate::control::ToMaster::Exhausted) and
    /// [`ToMaster::Withdrawn`](crate::control::ToMaster::Withdrawn) again where they were said
    /// before, then [`ToMaster::State`](crate::control::ToMaster::State), and
    /// [`ToMaster::Known`](crate::control::ToMaster::Known) as the last.
    Resync,
    /// The herd stops: accept no client and read no message any more, and say
    /// [`ToMaster::Empty`](crate::control::ToMaster::Empty) once no job waits for a worker.
    CloseListeners {
        /// How long jobs may go on waiting, in milliseconds.
        within_millis: u32,
    },
    /// Close what is left, then end.
    Drain {
        /// How long the gateway has before it is killed, in milliseconds.
        grace_millis: u32,
    },
}

mod kind {
    pub(super) const WELCOME: u16 = 0x0301;
    pub(super) const CONFIGURE: u16 = 0x0302;
    pub(super) const EXPECT: u16 = 0x0303;
    pub(super) const LINK: u16 = 0x0304;
    pub(super) const ADMIT: u16 = 0x0305;
    pub(super) const HOLD: u16 = 0x0306;
    pub(super) const WITHDRAW: u16 = 0x0307;
    pub(super) const GONE: u16 = 0x0308;
    pub(super) const OPEN: u16 = 0x0309;
    pub(super) const CLOSE_LISTENERS: u16 = 0x030a;
    pub(super) const DRAIN: u16 = 0x030b;
    pub(super) const RESYNC: u16 = 0x030c;
    pub(super) const PROXY: u16 = 0x030d;
    pub(super) const BACKEND: u16 = 0x030e;
    pub(super) const CERTIFICATE: u16 = 0x030f;
    pub(super) const WITHDRAW_AGAIN: u16 = 0x0310;
}

impl ToGateway {
    /// Appends this message as one frame. On error `out` is as it was.
    ///
    /// # Errors
    ///
    /// [`FrameError::BadBody`] for a configuration that fails [`GatewayConfig::check`],
    /// [`FrameError::TooLong`] for one whose texts do not fit into one frame; as well for settings
    /// of a proxy that are too long, and an address that is none.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), FrameError> {
        frame::encode(self, out)
    }
}

impl Message for ToGateway {
    const MAX_FRAME: usize = MAX_FRAME;

    fn kind(&self) -> (u16, Necessity) {
        let kind = match self {
            ToGateway::Welcome { .. } => kind::WELCOME,
            ToGateway::Configure(_) => kind::CONFIGURE,
            ToGateway::Proxy(_) => kind::PROXY,
            ToGateway::Backend(_) => kind::BACKEND,
            ToGateway::Certificate(_) => kind::CERTIFICATE,
            ToGateway::Expect { .. } => kind::EXPECT,
            ToGateway::Link { .. } => kind::LINK,
            ToGateway::Admit { .. } => kind::ADMIT,
            ToGateway::Hold { .. } => kind::HOLD,
            ToGateway::Withdraw { .. } => kind::WITHDRAW,
            ToGateway::WithdrawAgain { .. } => kind::WITHDRAW_AGAIN,
            ToGateway::Gone { .. } => kind::GONE,
            ToGateway::Open => kind::OPEN,
            ToGateway::Resync => kind::RESYNC,
            ToGateway::CloseListeners { .. } => kind::CLOSE_LISTENERS,
            ToGateway::Drain { .. } => kind::DRAIN,
        };
        (kind, Necessity::Mandatory)
    }

    fn write_body(&self, out: &mut Vec<u8>) -> Result<(), FrameError> {
        match self {
            ToGateway::Welcome {
                version,
                capabilities,
            } => write_greeting(*version, *capabilities, out),
            ToGateway::Configure(config) => {
                let kind = kind::CONFIGURE;
                codec::write(config, out).ok_or(FrameError::BadBody { kind })?;
            }
            ToGateway::Proxy(settings) => {
                let kind = kind::PROXY;
                if settings.len() > MAX_SETTINGS {
                    return Err(FrameError::BadBody { kind });
                }
                out.extend_from_slice(settings);
            }
            ToGateway::Backend(backend) => {
                let kind = kind::BACKEND;
                backend.write(out).ok_or(FrameError::BadBody { kind })?;
            }
            ToGateway::Certificate(files) => {
                let kind = kind::CERTIFICATE;
                files.write(out).ok_or(FrameError::BadBody { kind })?;
            }
            ToGateway::Expect { worker, slot, pid } => {
                out.extend_from_slice(&worker.to_le_bytes());
                out.extend_from_slice(&slot.to_le_bytes());
                out.extend_from_slice(&pid.to_le_bytes());
            }
            ToGateway::Link { worker }
            | ToGateway::Admit { worker }
            | ToGateway::Hold { worker }
            | ToGateway::Withdraw { worker }
            | ToGateway::Gone { worker } => out.extend_from_slice(&worker.to_le_bytes()),
            ToGateway::WithdrawAgain { worker, epoch } => {
                out.extend_from_slice(&worker.to_le_bytes());
                out.extend_from_slice(&epoch.to_le_bytes());
            }
            ToGateway::Open | ToGateway::Resync => {}
            ToGateway::CloseListeners {
                within_millis: millis,
            }
            | ToGateway::Drain {
                grace_millis: millis,
            } => {
                out.extend_from_slice(&millis.to_le_bytes());
            }
        }
        Ok(())
    }

    fn read_body(kind: u16, body: &[u8]) -> Result<Option<Self>, FrameError> {
        let message = match kind {
            kind::WELCOME => {
                read_greeting(body).map(|(version, capabilities)| ToGateway::Welcome {
                    version,
                    capabilities,
                })
            }
            kind::CONFIGURE => {
                codec::read(body).map(|config| ToGateway::Configure(Box::new(config)))
            }
            kind::PROXY => {
                let fits = body.len() <= MAX_SETTINGS;
                fits.then(|| ToGateway::Proxy(body.to_vec()))
            }
            kind::BACKEND => {
                Backend::read(body).map(|backend| ToGateway::Backend(Box::new(backend)))
            }
            kind::CERTIFICATE => {
                CertificateFiles::read(body).map(|files| ToGateway::Certificate(Box::new(files)))
            }
            kind::EXPECT => read_expect(body),
            kind::LINK => read_number(body).map(|worker| ToGateway::Link { worker }),
            kind::ADMIT => read_number(body).map(|worker| ToGateway::Admit { worker }),
            kind::HOLD => read_number(body).map(|worker| ToGateway::Hold { worker }),
            kind::WITHDRAW => read_number(body).map(|worker| ToGateway::Withdraw { worker }),
            kind::WITHDRAW_AGAIN => read_again(body),
            kind::GONE => read_number(body).map(|worker| ToGateway::Gone { worker }),
            kind::OPEN => Reader::new(body).finish(ToGateway::Open),
            kind::RESYNC => Reader::new(body).finish(ToGateway::Resync),
            kind::CLOSE_LISTENERS => {
                read_millis(body).map(|within_millis| ToGateway::CloseListeners { within_millis })
            }
            kind::DRAIN => read_millis(body).map(|grace_millis| ToGateway::Drain { grace_millis }),
            _ => return Ok(None),
        };
        message.map(Some).ok_or(FrameError::BadBody { kind })
    }
}

fn read_expect(body: &[u8]) -> Option<ToGateway> {
    let mut fields = Reader::new(body);
    let message = ToGateway::Expect {
        worker: fields.u64()?,
        slot: fields.u16()?,
        pid: fields.u32()?,
    };
    fields.finish(message)
}

fn read_again(body: &[u8]) -> Option<ToGateway> {
    let mut fields = Reader::new(body);
    let (worker, epoch) = (fields.u64()?, fields.u32()?);
    fields.finish(ToGateway::WithdrawAgain { worker, epoch })
}

fn read_millis(body: &[u8]) -> Option<u32> {
    let mut fields = Reader::new(body);
    let millis = fields.u32()?;
    fields.finish(millis)
}
