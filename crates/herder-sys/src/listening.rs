//! Who listens where on this machine, as the kernel tells it: nobody is connected to for that.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The state of a listening socket in `/proc/net/tcp`.
const LISTEN: &str = "0A";

/// The flag of a listening socket in `/proc/net/unix`.
const ACCEPTS: u32 = 0x0001_0000;

/// The most processes of a group that are looked at.
const MOST: usize = 1024;

/// A socket that listens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Found {
    /// How it is reached from this machine.
    pub address: SocketAddr,
    /// Its number.
    pub inode: u64,
}

/// The TCP sockets that listen on `port` and can be reached over the loopback interface, those of
/// IPv4 first.
///
/// # Errors
/// When the kernel does not tell.
pub fn on_port(port: u16) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    found.extend(table("/proc/self/net/tcp", port)?);
    match table("/proc/self/net/tcp6", port) {
        Ok(more) => found.extend(more),
        // A machine without IPv6.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(found)
}

/// Whether a Unix socket at this path listens.
///
/// # Errors
/// When the kernel does not tell.
pub fn at_path(path: &Path) -> io::Result<bool> {
    let wanted = path.as_os_str().as_bytes();
    let mut lines = BufReader::new(fs::File::open("/proc/self/net/unix")?);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        if unix_listener(line.trim_ascii_end()) == Some(wanted) {
            return Ok(true);
        }
        line.clear();
    }
    Ok(false)
}

/// Whether one of these processes has a socket of this number open. `None` = none of them can be
/// looked into.
#[must_use]
pub fn is_held_by(inode: u64, pids: &BTreeSet<i32>) -> Option<bool> {
    let wanted = format!("socket:[{inode}]");
    let mut seen = None;
    for pid in pids.iter().take(MOST) {
        let Ok(open) = fs::read_dir(format!("/proc/{pid}/fd")) else {
            continue;
        };
        seen = Some(false);
        for entry in open.flatten() {
            let target = fs::read_link(entry.path());
            if target.is_ok_and(|target| target.as_os_str() == wanted.as_str()) {
                return Some(true);
            }
        }
    }
    seen
}

/// Those of a table who listen on the port. The listening ones stand at its beginning.
fn table(path: &str, port: u16) -> io::Result<Vec<Found>> {
    let lines = BufReader::new(fs::File::open(path)?).lines().skip(1);
    let mut found = Vec::new();
    for line in lines {
        let line = line?;
        let mut fields = line.split_ascii_whitespace().skip(1);
        let (Some(local), Some(state)) = (fields.next(), fields.nth(1)) else {
            continue;
        };
        if state != LISTEN {
            break;
        }
        let inode = fields.nth(5).and_then(|inode| inode.parse().ok());
        if let (Some((ip, at)), Some(inode)) = (address(local), inode)
            && at == port
            && let Some(ip) = reached_by(ip)
        {
            let address = SocketAddr::new(ip, port);
            found.push(Found { address, inode });
        }
    }
    Ok(found)
}

/// An address as the tables have it: words of the machine's own order in hexadecimal, and a port.
fn address(text: &str) -> Option<(IpAddr, u16)> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words: Option<Vec<[u8; 4]>> = ip
        .as_bytes()
        .chunks(8)
        .map(|word| {
            let word = std::str::from_utf8(word).ok()?;
            Some(u32::from_str_radix(word, 16).ok()?.to_ne_bytes())
        })
        .collect();
    let ip = match *words?.as_slice() {
        [word] => IpAddr::V4(Ipv4Addr::from(word)),
        [a, b, c, d] => {
            let bytes: Vec<u8> = [a, b, c, d].concat();
            IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?))
        }
        _ => return None,
    };
    Some((ip, port))
}

/// The address of this machine by which a listener there is reached.
fn reached_by(ip: IpAddr) -> Option<IpAddr> {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => Some(Ipv4Addr::LOCALHOST.into()),
        // Whether it takes IPv4, too, is not told.
        IpAddr::V6(ip) if ip.is_unspecified() => Some(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V6(ip) => Some(ip.to_ipv4_mapped().map_or(ip.into(), IpAddr::from)),
        IpAddr::V4(ip) => Some(ip.into()),
    }
}

/// The path of a line of the table, if it is that of a listener.
fn unix_listener(line: &[u8]) -> Option<&[u8]> {
    // Num: RefCount Protocol Flags Type St Inode Path
    let mut rest = line;
    let mut flags = 0;
    for place in 0..7 {
        rest = rest.trim_ascii_start();
        let end = rest.iter().position(u8::is_ascii_whitespace)?;
        let (field, behind) = rest.split_at(end);
        if place == 3 {
            flags = u32::from_str_radix(std::str::from_utf8(field).ok()?, 16).ok()?;
        }
        rest = behind;
    }
    (flags & ACCEPTS != 0).then(|| &rest[1..])
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::process;

    #[test]
    fn who_listens_is_found_with_its_owner() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let found = on_port(address.port()).expect("told");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].address, address);
        let us = BTreeSet::from([process::current_pid()]);
        assert_eq!(is_held_by(found[0].inode, &us), Some(true));
        assert_eq!(is_held_by(found[0].inode, &BTreeSet::new()), None);
        assert_eq!(is_held_by(u64::MAX, &us), Some(false));
        drop(listener);
        assert_eq!(on_port(address.port()).expect("told"), []);
    }

    #[test]
    fn a_listener_for_every_address_is_reached_over_the_loopback() {
        for (bound, reached) in [("0.0.0.0:0", "127.0.0.1"), ("[::]:0", "::1")] {
            let Ok(listener) = TcpListener::bind(bound) else {
                continue;
            };
            let port = listener.local_addr().expect("bound").port();
            let found = on_port(port).expect("told");
            assert_eq!(found[0].address.ip().to_string(), reached);
        }
    }

    #[test]
    fn a_unix_socket_is_found_when_it_listens() {
        let name = format!("herder-listening {}", process::current_pid());
        let path = std::env::temp_dir().join(name);
        assert!(!at_path(&path).expect("told"));
        let listener = UnixListener::bind(&path).expect("ours");
        assert!(std::fs::metadata(&path).expect("there").ino() > 0);
        assert!(at_path(&path).expect("told"));
        drop(listener);
        assert!(!at_path(&path).expect("told"), "the file alone is nobody");
        std::fs::remove_file(&path).expect("ours");
    }
}
