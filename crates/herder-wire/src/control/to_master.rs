//! What a worker or a gateway says to the master.

use super::{MAX_FRAME, MAX_REASON, read_greeting, write_greeting};
use crate::frame::{self, FrameError, Message, Necessity};
use crate::reader::{Reader, read_number};
use crate::text::truncate;

/// From a worker, or a gateway, to the master.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ToMaster {
    /// The worker's event loop turns.
    Beat,
    /// The worker needs longer than configured until it is ready.
    BootExtend {
        /// How much longer from now, in milliseconds.
        millis: u32,
    },
    /// The worker's load; sent on change, at most every 10 ms.
    Counters {
        /// Connections open now.
        open: u32,
        /// Connections, or requests where the worker counts them, finished since its start.
        served: u64,
        /// How busy the event loop is, in thousandths.
        busy: u32,
    },
    /// The first frame.
    Hello {
        /// The worker's [`VERSION`](super::VERSION).
        version: u16,
        /// What the worker can do beyond that version, one bit each.
        capabilities: u32,
    },
    /// The worker can take connections.
    Ready,
    /// The worker is about to end and wants a replacement now.
    Retire {
        /// Why, for the log. What exceeds [`MAX_REASON`] is cut off when it is encoded.
        reason: String,
    },
    /// The worker was exhausted, and everything it had is finished. Sent once, before it exits.
    Spent,
    /// From a worker or a gateway: where it is in its life, and its load. The answer to
    /// [`ToWorker::Resync`](super::ToWorker::Resync) and
    /// [`ToGateway::Resync`](crate::gateway::ToGateway::Resync). A [`ToMaster::Retire`] that was
    /// said before is said again in front of it.
    State {
        /// The sender's [`VERSION`](super::VERSION).
        version: u16,
        /// Where it is in its life.
        course: Course,
        /// Connections open now.
        open: u32,
        /// Connections, or requests where the worker counts them, finished since its start.
        served: u64,
        /// How busy the event loop is, in thousandths.
        busy: u32,
    },
    /// A message of the application.
    User(Vec<u8>),
    /// From a gateway: no job waits for a worker any more. The answer to
    /// [`ToGateway::CloseListeners`](crate::gateway::ToGateway::CloseListeners).
    Empty,
    /// From a gateway: this job goes out to this worker.
    Dispatched {
        /// Number of the job within its gateway.
        job: u64,
        /// Incarnation of the worker.
        worker: u64,
    },
    /// From a gateway: the last job of this worker's life was assigned to it.
    Exhausted {
        /// Incarnation of the worker.
        worker: u64,
    },
    /// From a gateway: the workers with which it is linked, at most [`MAX_KNOWN`]. What was said of
    /// them that the master may have forgotten stands in front of it. The end of the answer to
    /// [`ToGateway::Resync`](crate::gateway::ToGateway::Resync).
    Known {
        /// Incarnations of the workers, ascending.
        workers: Vec<u64>,
    },
    /// From a proxy: how much a worker has had to do. Sent on change, at most every 100 ms and
    /// worker.
    Load {
        /// Incarnation of the worker.
        worker: u64,
        /// Requests, or connections, that it has now.
        open: u32,
        /// Those that it has finished since it was admitted.
        served: u64,
        /// Those of them that failed.
        failed: u64,
    },
    /// From a proxy: what it made of a set of
    /// [certificates](crate::gateway::ToGateway::Certificate). Said of each set that it was shown, unless
    /// another one came before that was known.
    Certificates {
        /// The number of the set.
        set: u32,
        /// Why it cannot serve with them; `None` = it does. What exceeds [`MAX_REASON`] is cut off when it
        /// is encoded. No key stands in it.
        fault: Option<String>,
    },
    /// From a proxy: this worker failed too often, and gets nothing for so long.
    Ejected {
        /// Incarnation of the worker.
        worker: u64,
        /// How long, in milliseconds.
        millis: u32,
    },
    /// From a proxy: this worker gets something again.
    Restored {
        /// Incarnation of the worker.
        worker: u64,
    },
    /// From a gateway: this worker cannot be given jobs any more. It broke the link's protocol, or
    /// cannot be linked. What it had is lost or with others.
    Unusable {
        /// Incarnation of the worker.
        worker: u64,
        /// Why, for the log. What exceeds [`MAX_REASON`] is cut off when it is encoded.
        reason: String,
    },
    /// From a gateway: this worker has what it will ever get. The answer to
    /// [`ToGateway::Withdraw`](crate::gateway::ToGateway::Withdraw).
    Withdrawn {
        /// Incarnation of the worker.
        worker: u64,
    },
    /// From a proxy: this worker has what it will ever get. The answer to
    /// [`ToGateway::WithdrawAgain`](crate::gateway::ToGateway::WithdrawAgain).
    WithdrawnAgain {
        /// Incarnation of the worker.
        worker: u64,
        /// Which withdrawal is over.
        epoch: u32,
    },
}

/// The most workers that one [`ToMaster::Known`] names.
pub const MAX_KNOWN: usize = 4096;

/// Where a worker is in its life, as it sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Course {
    /// It has not said that it is ready.
    Starting = 1,
    /// It takes connections, or jobs.
    Ready = 2,
    /// It finishes what it has, then ends.
    Draining = 3,
}

impl Course {
    fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Course::Starting),
            2 => Some(Course::Ready),
            3 => Some(Course::Draining),
            _ => None,
        }
    }
}

mod kind {
    pub(super) const HELLO: u16 = 0x0001;
    pub(super) const READY: u16 = 0x0002;
    pub(super) const BEAT: u16 = 0x0003;
    pub(super) const COUNTERS: u16 = 0x0004;
    pub(super) const RETIRE: u16 = 0x0005;
    pub(super) const BOOT_EXTEND: u16 = 0x0006;
    pub(super) const USER_TO_MASTER: u16 = 0x0007;
    pub(super) const SPENT: u16 = 0x0008;
    pub(super) const DISPATCHED: u16 = 0x0009;
    pub(super) const EXHAUSTED: u16 = 0x000a;
    pub(super) const WITHDRAWN: u16 = 0x000b;
    pub(super) const EMPTY: u16 = 0x000c;
    pub(super) const UNUSABLE: u16 = 0x000d;
    pub(super) const STATE: u16 = 0x000e;
    pub(super) const KNOWN: u16 = 0x000f;
    pub(super) const LOAD: u16 = 0x0010;
    pub(super) const EJECTED: u16 = 0x0011;
    pub(super) const RESTORED: u16 = 0x0012;
    pub(super) const WITHDRAWN_AGAIN: u16 = 0x0013;
    pub(super) const CERTIFICATES: u16 = 0x0014;
}

impl ToMaster {
    /// Appends this message as one frame. On error `out` is as it was.
    ///
    /// # Errors
    ///
    /// [`FrameError::TooLong`] when a user message exceeds [`MAX_USER`](super::MAX_USER).
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), FrameError> {
        frame::encode(self, out)
    }
}

impl Message for ToMaster {
    const MAX_FRAME: usize = MAX_FRAME;

    fn kind(&self) -> (u16, Necessity) {
        match self {
            ToMaster::Beat => (kind::BEAT, Necessity::Mandatory),
            ToMaster::BootExtend { .. } => (kind::BOOT_EXTEND, Necessity::Optional),
            ToMaster::Counters { .. } => (kind::COUNTERS, Necessity::Optional),
            ToMaster::Hello { .. } => (kind::HELLO, Necessity::Mandatory),
            ToMaster::Ready => (kind::READY, Necessity::Mandatory),
            ToMaster::Retire { .. } => (kind::RETIRE, Necessity::Mandatory),
            ToMaster::Spent => (kind::SPENT, Necessity::Mandatory),
            ToMaster::State { .. } => (kind::STATE, Necessity::Mandatory),
            ToMaster::User(_) => (kind::USER_TO_MASTER, Necessity::Mandatory),
            ToMaster::Empty => (kind::EMPTY, Necessity::Mandatory),
            ToMaster::Dispatched { .. } => (kind::DISPATCHED, Necessity::Optional),
            ToMaster::Exhausted { .. } => (kind::EXHAUSTED, Necessity::Mandatory),
            ToMaster::Known { .. } => (kind::KNOWN, Necessity::Mandatory),
            ToMaster::Load { .. } => (kind::LOAD, Necessity::Optional),
            ToMaster::Certificates { .. } => (kind::CERTIFICATES, Necessity::Optional),
            ToMaster::Ejected { .. } => (kind::EJECTED, Necessity::Optional),
            ToMaster::Restored { .. } => (kind::RESTORED, Necessity::Optional),
            ToMaster::Unusable { .. } => (kind::UNUSABLE, Necessity::Mandatory),
            ToMaster::Withdrawn { .. } => (kind::WITHDRAWN, Necessity::Mandatory),
            ToMaster::WithdrawnAgain { .. } => (kind::WITHDRAWN_AGAIN, Necessity::Mandatory),
        }
    }

    fn write_body(&self, out: &mut Vec<u8>) -> Result<(), FrameError> {
        match self {
            ToMaster::Beat | ToMaster::Empty | ToMaster::Ready | ToMaster::Spent => {}
            ToMaster::BootExtend { millis } => out.extend_from_slice(&millis.to_le_bytes()),
            ToMaster::Counters { open, served, busy } => {
                write_counters(*open, *served, *busy, out);
            }
            ToMaster::Hello {
                version,
                capabilities,
            } => {
                write_greeting(*version, *capabilities, out);
            }
            ToMaster::Retire { reason } => write_reason(reason, out),
            ToMaster::State {
                version,
                course,
                open,
                served,
                busy,
            } => {
                out.extend_from_slice(&version.to_le_bytes());
                out.push(*course as u8);
                write_counters(*open, *served, *busy, out);
            }
            ToMaster::Known { workers } => write_known(workers, out)?,
            ToMaster::User(payload) => out.extend_from_slice(payload),
            ToMaster::Dispatched { job, worker } => {
                out.extend_from_slice(&job.to_le_bytes());
                out.extend_from_slice(&worker.to_le_bytes());
            }
            ToMaster::Load {
                worker,
                open,
                served,
                failed,
            } => write_load(*worker, *open, *served, *failed, out),
            ToMaster::Certificates { set, fault } => {
                write_certificates(*set, fault.as_deref(), out);
            }
            ToMaster::Ejected { worker, millis } => {
                out.extend_from_slice(&worker.to_le_bytes());
                out.extend_from_slice(&millis.to_le_bytes());
            }
            ToMaster::Exhausted { worker }
            | ToMaster::Restored { worker }
            | ToMaster::Withdrawn { worker } => {
                out.extend_from_slice(&worker.to_le_bytes());
            }
            ToMaster::WithdrawnAgain { worker, epoch } => {
                out.extend_from_slice(&worker.to_le_bytes());
                out.extend_from_slice(&epoch.to_le_bytes());
            }
            ToMaster::Unusable { worker, reason } => {
                out.extend_from_slice(&worker.to_le_bytes());
                write_reason(reason, out);
            }
        }
        Ok(())
    }

    fn read_body(kind: u16, body: &[u8]) -> Result<Option<Self>, FrameError> {
        let message = match kind {
            kind::BEAT => Reader::new(body).finish(ToMaster::Beat),
            kind::BOOT_EXTEND => read_boot_extend(body),
            kind::COUNTERS => read_counters(body),
            kind::HELLO => read_greeting(body).map(|(version, capabilities)| ToMaster::Hello {
                version,
                capabilities,
            }),
            kind::READY => Reader::new(body).finish(ToMaster::Ready),
            kind::RETIRE => read_retire(body),
            kind::SPENT => Reader::new(body).finish(ToMaster::Spent),
            kind::STATE => read_state(body),
            kind::KNOWN => read_known(body),
            kind::EMPTY => Reader::new(body).finish(ToMaster::Empty),
            kind::DISPATCHED => read_dispatched(body),
            kind::EXHAUSTED => read_number(body).map(|worker| ToMaster::Exhausted { worker }),
            kind::LOAD => read_load(body),
            kind::CERTIFICATES => read_certificates(body),
            kind::EJECTED => read_ejected(body),
            kind::RESTORED => read_number(body).map(|worker| ToMaster::Restored { worker }),
            kind::UNUSABLE => read_unusable(body),
            kind::WITHDRAWN => read_number(body).map(|worker| ToMaster::Withdrawn { worker }),
            kind::WITHDRAWN_AGAIN => read_again(body),
            kind::USER_TO_MASTER => Some(ToMaster::User(body.to_vec())),
            _ => return Ok(None),
        };
        message.map(Some).ok_or(FrameError::BadBody { kind })
    }
}

fn write_counters(open: u32, served: u64, busy: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&open.to_le_bytes());
    out.extend_from_slice(&served.to_le_bytes());
    out.extend_from_slice(&busy.to_le_bytes());
}

fn write_known(workers: &[u64], out: &mut Vec<u8>) -> Result<(), FrameError> {
    if workers.len() > MAX_KNOWN || !workers.is_sorted() {
        return Err(FrameError::BadBody { kind: kind::KNOWN });
    }
    out.extend(workers.iter().flat_map(|worker| worker.to_le_bytes()));
    Ok(())
}

fn write_certificates(set: u32, fault: Option<&str>, out: &mut Vec<u8>) {
    out.extend_from_slice(&set.to_le_bytes());
    out.push(u8::from(fault.is_some()));
    write_reason(fault.unwrap_or_default(), out);
}

fn write_load(worker: u64, open: u32, served: u64, failed: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&worker.to_le_bytes());
    out.extend_from_slice(&open.to_le_bytes());
    out.extend_from_slice(&served.to_le_bytes());
    out.extend_from_slice(&failed.to_le_bytes());
}

fn write_reason(reason: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(truncate(reason, MAX_REASON).as_bytes());
}

fn read_boot_extend(body: &[u8]) -> Option<ToMaster> {
    let mut fields = Reader::new(body);
    let message = ToMaster::BootExtend {
        millis: fields.u32()?,
    };
    fields.finish(message)
}

fn read_counters(body: &[u8]) -> Option<ToMaster> {
    let mut fields = Reader::new(body);
    let (open, served, busy) = (fields.u32()?, fields.u64()?, fields.u32()?);
    fields.finish(ToMaster::Counters { open, served, busy })
}

fn read_state(body: &[u8]) -> Option<ToMaster> {
    let mut fields = Reader::new(body);
    let message = ToMaster::State {
        version: fields.u16()?,
        course: Course::from_number(fields.u8()?)?,
        open: fields.u32()?,
        served: fields.u64()?,
        busy: fields.u32()?,
    };
    fields.finish(message)
}

fn read_load(body: &[u8]) -> Option<ToMaster> {
    let mut fields = Reader::new(body);
    let message = ToMaster::Load {
        worker: fields.u64()?,
        open: fields.u32()?,
        served: fields.u64()?,
        failed: fields.u64()?,
    };
    fields.finish(message)
}

fn read_ejected(body: &[u8]) -> Option<ToMaster> {
    let mut fields = Reader::new(body);
    let message = ToMaster::Ejected {
        worker: fields.u64()?,
        millis: fields.u32()?,
    };
    fields.finish(message)
}

fn read_certificates(body: &[u8]) -> Option<ToMaster> {
    let mut fields = Reader::new(body);
    let (set, is_faulty) = (fields.u32()?, fields.u8()?);
    let fault = match is_faulty {
        0 => None,
        1 => Some(read_reason(fields.remainder())?),
        _ => return None,
    };
    fields.finish(ToMaster::Certificates { set, fault })
}

fn read_again(body: &[u8]) -> Option<ToMaster> {
    let mut fields = Reader::new(body);
    let (worker, epoch) = (fields.u64()?, fields.u32()?);
    fields.finish(ToMaster::WithdrawnAgain { worker, epoch })
}

fn read_known(body: &[u8]) -> Option<ToMaster> {
    let (workers, []) = body.as_chunks() else {
        return None;
    };
    let workers: Vec<_> = workers.iter().copied().map(u64::from_le_bytes).collect();
    (workers.len() <= MAX_KNOWN && workers.is_sorted()).then_some(ToMaster::Known { workers })
}

fn read_retire(body: &[u8]) -> Option<ToMaster> {
    let reason = read_reason(body)?;
    Some(ToMaster::Retire { reason })
}

fn read_unusable(body: &[u8]) -> Option<ToMaster> {
    let (worker, reason) = body.split_first_chunk()?;
    let worker = u64::from_le_bytes(*worker);
    let reason = read_reason(reason)?;
    Some(ToMaster::Unusable { worker, reason })
}

fn read_reason(body: &[u8]) -> Option<String> {
    if body.len() > MAX_REASON {
        return None;
    }
    std::str::from_utf8(body).ok().map(str::to_owned)
}

fn read_dispatched(body: &[u8]) -> Option<ToMaster> {
    let mut fields = Reader::new(body);
    let message = ToMaster::Dispatched {
        job: fields.u64()?,
        worker: fields.u64()?,
    };
    fields.finish(message)
}
