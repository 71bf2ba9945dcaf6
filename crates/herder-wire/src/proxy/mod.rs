//! What a master says to a gateway that is a proxy, beside [`crate::gateway`]: the workers are
//! reached at addresses of their own, and not by links.
//!
//! The master answers the greeting with
//! [`ToGateway::Proxy`](crate::gateway::ToGateway::Proxy) in place of
//! [`ToGateway::Configure`](crate::gateway::ToGateway::Configure), and introduces each worker by
//! [`ToGateway::Backend`](crate::gateway::ToGateway::Backend) in place of `Expect` and `Link`. The
//! gateway answers with the kinds of [`ToMaster`](crate::control::ToMaster) that are a gateway's:
//! `Withdrawn` when the last request of a worker is over, `Load`, `Ejected`, `Restored` and
//! `Certificates`.

mod certificate;

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::reader::Reader;

pub use certificate::{CertificateFiles, MAX_FILE, MAX_REASON, Unopened, Which};

/// The longest path of a worker's Unix socket, in bytes: the kernel takes no longer one.
pub const MAX_PATH: usize = 107;

/// The longest settings, in bytes.
pub const MAX_SETTINGS: usize = 60 * 1024;

/// A worker, as a proxy reaches it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Backend {
    /// Incarnation of the worker.
    pub worker: u64,
    /// Place of the worker within its application, from 0.
    pub slot: u16,
    /// Generation of the worker, from 1.
    pub generation: u32,
    /// Where it listens.
    pub address: WorkerAddress,
}

/// Where a worker listens.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum WorkerAddress {
    /// On a port of this machine.
    Tcp(SocketAddr),
    /// On a Unix socket at this path, which need not be text. Not empty, at most [`MAX_PATH`].
    Unix(Vec<u8>),
}

const IPV4: u8 = 4;
const IPV6: u8 = 6;
const UNIX: u8 = 1;

impl Backend {
    /// Appends the fields; `None` when the address cannot be one.
    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Option<()> {
        out.extend_from_slice(&self.worker.to_le_bytes());
        out.extend_from_slice(&self.slot.to_le_bytes());
        out.extend_from_slice(&self.generation.to_le_bytes());
        match &self.address {
            WorkerAddress::Tcp(address) => {
                match address.ip() {
                    IpAddr::V4(ip) => {
                        out.push(IPV4);
                        out.extend_from_slice(&ip.octets());
                    }
                    IpAddr::V6(ip) => {
                        out.push(IPV6);
                        out.extend_from_slice(&ip.octets());
                    }
                }
                out.extend_from_slice(&address.port().to_le_bytes());
            }
            WorkerAddress::Unix(path) => {
                if path.is_empty() || path.len() > MAX_PATH || path.contains(&0) {
                    return None;
                }
                out.push(UNIX);
                out.extend_from_slice(path);
            }
        }
        Some(())
    }

    pub(crate) fn read(body: &[u8]) -> Option<Backend> {
        let mut fields = Reader::new(body);
        let (worker, slot, generation) = (fields.u64()?, fields.u16()?, fields.u32()?);
        let family = fields.u8()?;
        let address = match family {
            IPV4 => {
                let ip = <[u8; 4]>::try_from(fields.bytes(4)?).ok()?;
                WorkerAddress::Tcp((ip, fields.u16()?).into())
            }
            IPV6 => {
                let ip = <[u8; 16]>::try_from(fields.bytes(16)?).ok()?;
                WorkerAddress::Tcp((ip, fields.u16()?).into())
            }
            UNIX => {
                let path = fields.remainder();
                if path.is_empty() || path.len() > MAX_PATH || path.contains(&0) {
                    return None;
                }
                WorkerAddress::Unix(path.to_vec())
            }
            _ => return None,
        };
        fields.finish(Backend {
            worker,
            slot,
            generation,
            address,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backend(address: WorkerAddress) -> Backend {
        Backend {
            worker: 7,
            slot: 2,
            generation: 3,
            address,
        }
    }

    fn tcp(text: &str) -> WorkerAddress {
        WorkerAddress::Tcp(text.parse().expect("an address"))
    }

    #[test]
    fn a_backend_is_read_as_it_was_written() {
        let unix = WorkerAddress::Unix(b"/run/\xff.sock".to_vec());
        for address in [tcp("127.0.0.1:80"), tcp("[::1]:65535"), unix] {
            let (backend, mut bytes) = (backend(address), Vec::new());
            backend.write(&mut bytes).expect("right");
            assert_eq!(Backend::read(&bytes), Some(backend));
            for end in 0..15 {
                assert_eq!(Backend::read(&bytes[..end]), None, "short");
            }
        }
    }

    #[test]
    fn what_cannot_be_an_address_is_refused() {
        for path in [vec![], vec![b'a'; MAX_PATH + 1], vec![b'a', 0]] {
            let backend = backend(WorkerAddress::Unix(path));
            assert_eq!(backend.write(&mut Vec::new()), None);
        }
        let mut bytes = Vec::new();
        backend(tcp("127.0.0.1:80"))
            .write(&mut bytes)
            .expect("right");
        bytes.push(0);
        assert_eq!(Backend::read(&bytes), None, "long");
    }
}
