//! What a worker asks for when its program listens.

use serde::{Deserialize, Serialize};

use super::json::{Json, members, text, write_text};

/// The backlog where a program names none, or 0.
pub const DEFAULT_BACKLOG: u32 = 511;

/// A listener that a worker wants, or has. What JavaScript leaves out or says as `null` is `None`.
///
/// Numbers are read as Node's primary would use them: a number may come as a string, is cut to an
/// integer, and one that is too large becomes the largest.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Query {
    /// Tells several listeners of one worker with the same address apart.
    pub index: u64,
    /// What a TLS server shares with the others of its kind. The first worker's value goes back in
    /// every answer for this listener, errors too: a worker that sent some and gets none dies.
    pub data: Option<Json>,
    /// An IP address, or the path of a Unix socket: absolute, or for an abstract name the worker's
    /// directory, `/`, a NUL and the name.
    pub address: Option<String>,
    /// The port; negative for Unix sockets.
    pub port: Option<i32>,
    /// What kind of address.
    pub address_type: Option<AddressType>,
    /// A descriptor **of the master**.
    pub fd: Option<i32>,
    /// For TCP 1 = IPv6 only; for UDP 1 = IPv6 only, 4 = reuse the address.
    pub flags: u32,
    /// How many connections may wait; [`DEFAULT_BACKLOG`] if the program does not say.
    pub backlog: u32,
    /// Everybody may read from the Unix socket.
    pub readable_all: bool,
    /// Everybody may write to the Unix socket.
    pub writable_all: bool,
}

/// What a [`Query`] says of its address.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub enum AddressType {
    /// 4 or 6 for TCP, -1 for Unix sockets. Without an address, 4 is a mere default: both families
    /// are meant.
    Number(i32),
    /// A UDP socket of IPv4.
    Udp4,
    /// A UDP socket of IPv6.
    Udp6,
}

/// Which listener a [`Query`] means: two that are equal mean one, shared by their workers.
///
/// A worker that holds the listener already, and asks for it again, means another one: its program
/// is to be told `EADDRINUSE`.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Identity {
    address: Option<String>,
    port: Option<i32>,
    address_type: Option<AddressType>,
    fd: Option<i32>,
    index: Option<u64>,
}

impl Query {
    /// Which listener is meant.
    ///
    /// The index counts only where the kernel picks the port, so that the first such listener of
    /// each worker is the same one: elsewhere it changes when a program listens again. Of an
    /// abstract name the worker's directory does not count.
    #[must_use]
    pub fn identity(&self) -> Identity {
        let address = match self.abstract_name() {
            Some(name) => Some(format!("\0{name}")),
            None => self.address.clone(),
        };
        Identity {
            address,
            port: self.port,
            address_type: self.address_type,
            fd: self.fd,
            index: self.picks_port().then_some(self.index),
        }
    }

    /// Whether a UDP socket is meant, which workers always share.
    #[must_use]
    pub fn is_udp(&self) -> bool {
        matches!(
            self.address_type,
            Some(AddressType::Udp4 | AddressType::Udp6)
        )
    }

    /// Whether the path of a Unix socket is meant, or an abstract name.
    pub(super) fn is_unix(&self) -> bool {
        self.port.is_some_and(|port| port < 0)
    }

    /// The name of an abstract socket without its leading NUL.
    pub(super) fn abstract_name(&self) -> Option<&str> {
        let (_, name) = self.address.as_deref()?.split_once('\0')?;
        self.is_unix().then_some(name)
    }

    /// The descriptor, if one is meant. UDP says -1 for none.
    pub(super) fn descriptor(&self) -> Option<i32> {
        self.fd.filter(|fd| *fd >= 0)
    }

    fn picks_port(&self) -> bool {
        match self.port {
            Some(port) => port == 0,
            None => self.is_udp() && self.descriptor().is_none(),
        }
    }

    /// Reads the fields of a query from the object `json`, or says which of them is none.
    pub(super) fn read(json: &str) -> Result<Self, &'static str> {
        let [index, data, address, port, address_type] =
            fields(json, ["index", "data", "address", "port", "addressType"]);
        let [fd, flags, backlog, readable_all, writable_all] = fields(
            json,
            ["fd", "flags", "backlog", "readableAll", "writableAll"],
        );
        Ok(Query {
            index: index.map_or(Some(0), |it| it.parse().ok()).ok_or("index")?,
            data: data.map(Json::checked),
            address: optional(address, |it| Some(text(it)?.into_owned())).ok_or("address")?,
            port: optional(port, integer).ok_or("port")?,
            address_type: optional(address_type, address_type_of).ok_or("addressType")?,
            fd: optional(fd, integer).ok_or("fd")?,
            flags: u32::try_from(number(flags)).unwrap_or(0),
            backlog: backlog_of(number(backlog)),
            readable_all: readable_all == Some("true"),
            writable_all: writable_all == Some("true"),
        })
    }

    /// Appends the fields as a worker writes them, each with a comma behind it.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let data = self.data.as_ref().map_or("null", Json::as_str);
        out.extend_from_slice(format!("\"index\":{},\"data\":{data},", self.index).as_bytes());
        out.extend_from_slice(b"\"address\":");
        match &self.address {
            Some(address) => write_text(address, out),
            None => out.extend_from_slice(b"null"),
        }
        let port = self.port.map_or("null".into(), |port| port.to_string());
        let address_type = match self.address_type {
            Some(AddressType::Number(number)) => number.to_string(),
            Some(AddressType::Udp4) => "\"udp4\"".into(),
            Some(AddressType::Udp6) => "\"udp6\"".into(),
            None => "null".into(),
        };
        out.extend_from_slice(
            format!(",\"port\":{port},\"addressType\":{address_type},").as_bytes(),
        );
        if let Some(fd) = self.fd {
            out.extend_from_slice(format!("\"fd\":{fd},").as_bytes());
        }
        let (flags, backlog) = (self.flags, self.backlog);
        out.extend_from_slice(format!("\"flags\":{flags},\"backlog\":{backlog},").as_bytes());
        for (name, set) in [
            ("readableAll", self.readable_all),
            ("writableAll", self.writable_all),
        ] {
            if set {
                out.extend_from_slice(format!("\"{name}\":true,").as_bytes());
            }
        }
    }
}

/// The members that are there and not `null`. What is not JSON was refused before.
fn fields<'a, const N: usize>(json: &'a str, names: [&str; N]) -> [Option<&'a str>; N] {
    let found = members(json, names).unwrap_or([None; N]);
    found.map(|field| field.filter(|json| *json != "null"))
}

/// `None` when the field is there and not what it should be.
fn optional<T>(field: Option<&str>, read: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
    field.map_or(Some(None), |json| read(json).map(Some))
}

fn address_type_of(json: &str) -> Option<AddressType> {
    match text(json).as_deref() {
        Some("udp4") => Some(AddressType::Udp4),
        Some("udp6") => Some(AddressType::Udp6),
        Some(_) => None,
        None => integer(json).map(AddressType::Number),
    }
}

/// libuv gives the kernel what a program says, and to the kernel a negative number is a large one.
fn backlog_of(said: i32) -> u32 {
    match said {
        0 => DEFAULT_BACKLOG,
        said => u32::try_from(said).unwrap_or(i32::MAX.unsigned_abs()),
    }
}

/// A number that no check of Node's stands behind: `listen(port, host)` sends `false` as its
/// backlog. What is none is 0.
fn number(field: Option<&str>) -> i32 {
    field.and_then(integer).unwrap_or(0)
}

fn integer(json: &str) -> Option<i32> {
    let string = text(json);
    let number: f64 = string.as_deref().unwrap_or(json).trim().parse().ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "cut and kept within its range is what is wanted"
    )]
    (!number.is_nan()).then_some(number as i32)
}
