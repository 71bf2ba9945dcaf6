use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest path of a Unix socket, in bytes: `sun_path` less its end.
const MAX_UNIX_PATH: usize = 107;

/// Where an app listens, as it was written. Host names are resolved by the shell.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum ListenAddress {
    /// A TCP port. `host` is `None` for every address of the machine, IPv6 and IPv4.
    Tcp {
        /// An address or a host name, without brackets.
        host: Option<String>,
        /// 0 lets the kernel choose.
        port: u16,
    },
    /// A Unix socket at this path.
    Unix(PathBuf),
}

/// Why a text is not an address.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "{given:?} is not an address: {why} (use PORT, HOST:PORT, [IPV6]:PORT or unix:/path/to.sock)"
)]
pub struct AddressError {
    given: String,
    why: &'static str,
}

impl ListenAddress {
    /// Whether there can only be one listener, and not one for each worker.
    #[must_use]
    pub fn has_one_listener(&self) -> bool {
        match self {
            ListenAddress::Tcp { .. } => false,
            ListenAddress::Unix(_) => true,
        }
    }
}

/// What the addresses of a herd allow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Listens {
    /// There are none.
    Nowhere,
    /// At some of them each worker can have a listener of its own.
    WhereEachCan,
    /// At each of them there is [one listener](ListenAddress::has_one_listener).
    WhereOneCan,
}

impl Listens {
    /// What these allow.
    #[must_use]
    pub fn at(addresses: &[ListenAddress]) -> Listens {
        match addresses.iter().all(ListenAddress::has_one_listener) {
            _ if addresses.is_empty() => Listens::Nowhere,
            true => Listens::WhereOneCan,
            false => Listens::WhereEachCan,
        }
    }
}

impl FromStr for ListenAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<ListenAddress, AddressError> {
        let error = |why| AddressError {
            given: text.to_owned(),
            why,
        };
        if let Some(path) = text.strip_prefix("unix:") {
            return match path.len() {
                0 => Err(error("the path is missing")),
                n if n > MAX_UNIX_PATH => Err(error("the path is longer than 107 bytes")),
                _ if path.contains('\0') => Err(error("the path holds a NUL")),
                _ => Ok(ListenAddress::Unix(PathBuf::from(path))),
            };
        }
        let (host, port) = match text.rsplit_once(':') {
            None => ("", text),
            Some((host, port)) => (host, port),
        };
        let port = port
            .parse()
            .map_err(|_| error("the port is not a number from 0 to 65535"))?;
        let host = match host.strip_prefix('[') {
            Some(rest) => Some(
                rest.strip_suffix(']')
                    .ok_or_else(|| error("\"]\" is missing"))?,
            ),
            None if host.contains(':') => return Err(error("an IPv6 address needs brackets")),
            None if matches!(host, "" | "*") => None,
            None => Some(host),
        };
        let valid = |h: &str| !h.is_empty() && h.bytes().all(|b| b.is_ascii_graphic() && b != b'/');
        if host.is_some_and(|h| !valid(h)) {
            return Err(error("the host is not a name or an address"));
        }
        Ok(ListenAddress::Tcp {
            host: host.map(str::to_owned),
            port,
        })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenAddress::Tcp { host: None, port } => write!(f, "*:{port}"),
            ListenAddress::Tcp {
                host: Some(host),
                port,
            } if host.contains(':') => {
                write!(f, "[{host}]:{port}")
            }
            ListenAddress::Tcp {
                host: Some(host),
                port,
            } => write!(f, "{host}:{port}"),
            ListenAddress::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: Option<&str>, port: u16) -> ListenAddress {
        ListenAddress::Tcp {
            host: host.map(str::to_owned),
            port,
        }
    }

    #[test]
    fn every_form_is_read() {
        for (text, expected) in [
            ("8080", tcp(None, 8080)),
            (":8080", tcp(None, 8080)),
            ("*:0", tcp(None, 0)),
            ("127.0.0.1:80", tcp(Some("127.0.0.1"), 80)),
            ("localhost:3000", tcp(Some("localhost"), 3000)),
            ("[::1]:65535", tcp(Some("::1"), 65535)),
            (
                "unix:/run/a.sock",
                ListenAddress::Unix("/run/a.sock".into()),
            ),
            ("unix:rel.sock", ListenAddress::Unix("rel.sock".into())),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn one_address_is_enough_for_listeners_of_their_own() {
        let unix = |path: &str| ListenAddress::Unix(path.into());
        for (addresses, expected) in [
            (vec![tcp(None, 8080)], Listens::WhereEachCan),
            (
                vec![tcp(None, 8080), unix("/run/it")],
                Listens::WhereEachCan,
            ),
            (
                vec![unix("/run/it"), tcp(None, 8080)],
                Listens::WhereEachCan,
            ),
            (
                vec![unix("/run/it"), unix("/run/other")],
                Listens::WhereOneCan,
            ),
            (vec![], Listens::Nowhere),
        ] {
            assert_eq!(Listens::at(&addresses), expected, "{addresses:?}");
        }
    }

    #[test]
    fn nonsense_is_refused_with_the_reason() {
        let long = format!("unix:/{}", "x".repeat(107));
        for (text, why) in [
            ("", "the port"),
            ("http", "the port"),
            ("1.2.3.4:65536", "the port"),
            ("::1:80", "brackets"),
            ("[::1:80", "\"]\""),
            ("unix:", "missing"),
            (&long, "107"),
            ("a b:80", "the host"),
            ("http://x:80", "brackets"),
        ] {
            let error = text.parse::<ListenAddress>().expect_err(text).to_string();
            assert!(error.contains(why), "{text:?}: {error}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        for text in ["*:8080", "127.0.0.1:80", "[::1]:1", "unix:/a b"] {
            let address: ListenAddress = text.parse().expect(text);
            assert_eq!(address.to_string(), text);
        }
    }
}
