//! What a stored descriptor is called.

use std::fmt::{self, Debug, Display, Write as _};

use crate::proxy::Which;

/// The longest key, in bytes.
pub const MAX_KEY: usize = 64;

/// What a stored descriptor is called: one to [`MAX_KEY`] bytes of `a` to `z`, `0` to `9`, `.` and
/// `-`. Lives without the heap.
///
/// | key | descriptor |
/// |---|---|
/// | `herd.state` | the master's state |
/// | `herd.control` | the listener of the herd's socket, while the master becomes another build |
/// | `herd.directory` | the herd's private directory, locked |
/// | `herd.client.N` | a connection of the herd's socket, in the same time |
/// | `herd.board` | the state of the primary of Node's cluster |
/// | `herd.exe` | the executable of masters to come |
/// | `herd.hand.C.L` | connection C, from listener L, which no worker has yet; never with the keeper |
/// | `herd.listener.N` | a listener |
/// | `herd.node.N` | a listener that a Node worker has asked for |
/// | `herd.library.N` | a library's listener |
/// | `herd.certificate.S.N.chain` | of set S the chain of certificate N; `key` in place of `chain`: its key |
/// | `herd.group.N.ITEM` | something of one group of sockets; see [`GroupItem`] |
/// | `gN.exe` | the executable of generation N |
/// | `pP.sS.iI.ITEM` | something of one member: part P, slot S, life I; see [`MemberItem`] |
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Key(Name);

/// The beginning of keys, in the same alphabet.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Prefix(Name);

/// What is stored of one member of the herd.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum MemberItem {
    /// The master's end of `conns`.
    Conns,
    /// The worker's end of `conns`, duplicated.
    ConnsWorker,
    /// The master's end of `control`.
    Control,
    /// The master's end of a Node channel.
    Node,
    /// The master's end of the channel on which a Node worker is given connections.
    NodeLane,
    /// Where an `sd_notify(3)` program reports.
    Notify,
    /// The process itself.
    Pidfd,
    /// Read end of the error output.
    Stderr,
    /// Read end of a pipe with what was taken from the error output and is in no file yet.
    StderrLanding,
    /// Write end of the input.
    Stdin,
    /// Read end of the output.
    Stdout,
    /// Read end of a pipe with what was taken from the output and is in no file yet.
    StdoutLanding,
}

impl MemberItem {
    const ALL: [MemberItem; 12] = [
        MemberItem::Conns,
        MemberItem::ConnsWorker,
        MemberItem::Control,
        MemberItem::Node,
        MemberItem::NodeLane,
        MemberItem::Notify,
        MemberItem::Pidfd,
        MemberItem::Stderr,
        MemberItem::StderrLanding,
        MemberItem::Stdin,
        MemberItem::Stdout,
        MemberItem::StdoutLanding,
    ];

    /// The last part of its key.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            MemberItem::Conns => "conns",
            MemberItem::ConnsWorker => "conns-worker",
            MemberItem::Control => "control",
            MemberItem::Node => "node",
            MemberItem::NodeLane => "node-lane",
            MemberItem::Notify => "notify",
            MemberItem::Pidfd => "pidfd",
            MemberItem::Stderr => "stderr",
            MemberItem::StderrLanding => "stderr-landing",
            MemberItem::Stdin => "stdin",
            MemberItem::Stdout => "stdout",
            MemberItem::StdoutLanding => "stdout-landing",
        }
    }
}

/// What is stored of one group of sockets: those of one address of which each worker has its own.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum GroupItem {
    /// The socket that keeps the address and listens to nobody.
    Anchor,
    /// What the kernel's program counts.
    Counters,
    /// The program in the kernel.
    Program,
    /// A socket that listens, by its slot and the incarnation that it was made for.
    Socket { slot: u16, number: u64 },
    /// The program's sockets.
    Sockets,
    /// Whose turn it is.
    Turns,
}

impl fmt::Display for GroupItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GroupItem::Anchor => f.write_str("anchor"),
            GroupItem::Counters => f.write_str("counters"),
            GroupItem::Program => f.write_str("program"),
            GroupItem::Socket { slot, number } => write!(f, "s{slot}.n{number}"),
            GroupItem::Sockets => f.write_str("sockets"),
            GroupItem::Turns => f.write_str("turns"),
        }
    }
}

impl GroupItem {
    fn parse(text: &str) -> Option<GroupItem> {
        Some(match text {
            "anchor" => GroupItem::Anchor,
            "counters" => GroupItem::Counters,
            "program" => GroupItem::Program,
            "sockets" => GroupItem::Sockets,
            "turns" => GroupItem::Turns,
            socket => {
                let (slot, its_number) = socket.strip_prefix('s')?.split_once(".n")?;
                let (slot, number) = (number(slot)?, number(its_number)?);
                GroupItem::Socket { slot, number }
            }
        })
    }
}

impl Key {
    /// The master's state.
    #[must_use]
    pub fn state() -> Key {
        Key::built(format_args!("herd.state"))
    }

    /// The listener of the herd's socket.
    #[must_use]
    pub fn control() -> Key {
        Key::built(format_args!("herd.control"))
    }

    /// The herd's private directory, which is locked as long as this is stored.
    #[must_use]
    pub fn directory() -> Key {
        Key::built(format_args!("herd.directory"))
    }

    /// A connection of the herd's socket, by its number.
    #[must_use]
    pub fn client(number: u64) -> Key {
        Key::built(format_args!("herd.client.{number}"))
    }

    /// The state of the primary of Node's cluster.
    #[must_use]
    pub fn board() -> Key {
        Key::built(format_args!("herd.board"))
    }

    /// The executable of masters to come.
    #[must_use]
    pub fn executable() -> Key {
        Key::built(format_args!("herd.exe"))
    }

    /// A connection that no worker has yet, by its number and its listener's.
    #[must_use]
    pub fn hand(conn: u64, listener: u64) -> Key {
        Key::built(format_args!("herd.hand.{conn}.{listener}"))
    }

    /// The listener of this place, from 0.
    #[must_use]
    pub fn listener(place: u32) -> Key {
        Key::built(format_args!("herd.listener.{place}"))
    }

    /// A listener that Node workers have asked for, by its number.
    #[must_use]
    pub fn node(number: u64) -> Key {
        Key::built(format_args!("herd.node.{number}"))
    }

    /// The listener of the library of this place, from 0.
    #[must_use]
    pub fn library(place: u32) -> Key {
        Key::built(format_args!("herd.library.{place}"))
    }

    /// A file of a certificate of this set, by its place there.
    #[must_use]
    pub fn certificate(set: u32, place: u16, which: Which) -> Key {
        let file = match which {
            Which::Chain => "chain",
            Which::Key => "key",
        };
        Key::built(format_args!("herd.certificate.{set}.{place}.{file}"))
    }

    /// Something of the group of this number.
    #[must_use]
    pub fn group(group: u64, item: GroupItem) -> Key {
        Key::built(format_args!("herd.group.{group}.{item}"))
    }

    /// The executable of a generation.
    #[must_use]
    pub fn generation(number: u32) -> Key {
        Key::built(format_args!("g{number}.exe"))
    }

    /// Something of one life of a member.
    #[must_use]
    pub fn member(part: u8, slot: u16, life: u64, item: MemberItem) -> Key {
        Key::built(format_args!("p{part}.s{slot}.i{life}.{}", item.as_str()))
    }

    /// Reads a key; `None` when it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Key> {
        Name::parse(text.as_bytes()).map(Key)
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether it begins with `prefix`.
    #[must_use]
    pub fn is_under(&self, prefix: &Prefix) -> bool {
        self.as_str().starts_with(prefix.as_str())
    }

    /// The connection, and the listener it came from, that it names.
    #[must_use]
    pub fn as_hand(&self) -> Option<(u64, u64)> {
        let (conn, listener) = self.as_str().strip_prefix("herd.hand.")?.split_once('.')?;
        Some((number(conn)?, number(listener)?))
    }

    /// The place of the listener that it names.
    #[must_use]
    pub fn as_listener(&self) -> Option<u32> {
        number_after("herd.listener.", self.as_str())
    }

    /// The number of the Node listener that it names.
    #[must_use]
    pub fn as_node(&self) -> Option<u64> {
        number_after("herd.node.", self.as_str())
    }

    /// The number of the connection of the herd's socket that it names.
    #[must_use]
    pub fn as_client(&self) -> Option<u64> {
        number_after("herd.client.", self.as_str())
    }

    /// The place of the library whose listener it names.
    #[must_use]
    pub fn as_library(&self) -> Option<u32> {
        number_after("herd.library.", self.as_str())
    }

    /// Set, place and file of the certificate that it names.
    #[must_use]
    pub fn as_certificate(&self) -> Option<(u32, u16, Which)> {
        let rest = self.as_str().strip_prefix("herd.certificate.")?;
        let (set, rest) = rest.split_once('.')?;
        let (place, file) = rest.split_once('.')?;
        let which = match file {
            "chain" => Which::Chain,
            "key" => Which::Key,
            _ => return None,
        };
        Some((number(set)?, number(place)?, which))
    }

    /// The group, and the item of it, that it names.
    #[must_use]
    pub fn as_group(&self) -> Option<(u64, GroupItem)> {
        let (group, item) = self.as_str().strip_prefix("herd.group.")?.split_once('.')?;
        Some((number(group)?, GroupItem::parse(item)?))
    }

    /// The generation whose executable it names.
    #[must_use]
    pub fn as_generation(&self) -> Option<u32> {
        number(self.as_str().strip_prefix('g')?.strip_suffix(".exe")?)
    }

    /// Part, slot, life and item of the member that it names something of.
    #[must_use]
    pub fn as_member(&self) -> Option<(u8, u16, u64, MemberItem)> {
        let mut fields = self.as_str().splitn(4, '.');
        let part = number(fields.next()?.strip_prefix('p')?)?;
        let slot = number(fields.next()?.strip_prefix('s')?)?;
        let life = number(fields.next()?.strip_prefix('i')?)?;
        let name = fields.next()?;
        let item = MemberItem::ALL
            .into_iter()
            .find(|item| item.as_str() == name)?;
        Some((part, slot, life, item))
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Key> {
        Name::parse(bytes).map(Key)
    }

    fn built(text: fmt::Arguments<'_>) -> Key {
        Key(Name::built(text))
    }
}

impl Prefix {
    /// The beginning of all keys of a group.
    #[must_use]
    pub fn group(group: u64) -> Prefix {
        Prefix(Name::built(format_args!("herd.group.{group}.")))
    }

    /// The beginning of all keys of a set of certificates.
    #[must_use]
    pub fn certificates(set: u32) -> Prefix {
        Prefix(Name::built(format_args!("herd.certificate.{set}.")))
    }

    /// The beginning of all keys of one life of a member.
    #[must_use]
    pub fn member(part: u8, slot: u16, life: u64) -> Prefix {
        Prefix(Name::built(format_args!("p{part}.s{slot}.i{life}.")))
    }

    /// Reads a prefix; `None` when no key can begin so, or it is empty.
    #[must_use]
    pub fn parse(text: &str) -> Option<Prefix> {
        Name::parse(text.as_bytes()).map(Prefix)
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Prefix> {
        Name::parse(bytes).map(Prefix)
    }
}

impl Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

impl Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prefix({})", self.as_str())
    }
}

/// A text of the alphabet. What lies behind its end is zero, so that names sort as their texts do.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
struct Name {
    bytes: [u8; MAX_KEY],
    length: u8,
}

impl Name {
    fn parse(text: &[u8]) -> Option<Name> {
        let plain = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-');
        if text.is_empty() || text.len() > MAX_KEY || !text.iter().all(plain) {
            return None;
        }
        let mut bytes = [0; MAX_KEY];
        bytes[..text.len()].copy_from_slice(text);
        let length = u8::try_from(text.len()).ok()?;
        Some(Name { bytes, length })
    }

    fn built(text: fmt::Arguments<'_>) -> Name {
        let mut name = Name {
            bytes: [0; MAX_KEY],
            length: 0,
        };
        name.write_fmt(text)
            .expect("what is built here is shorter than the longest key");
        name
    }

    fn as_str(&self) -> &str {
        let text = &self.bytes[..usize::from(self.length)];
        std::str::from_utf8(text).expect("the alphabet is ASCII")
    }
}

impl fmt::Write for Name {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let begin = usize::from(self.length);
        let end = begin + text.len();
        let room = self.bytes.get_mut(begin..end).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.length = u8::try_from(end).map_err(|_| fmt::Error)?;
        Ok(())
    }
}

fn number_after<N: std::str::FromStr + Display>(prefix: &str, text: &str) -> Option<N> {
    number(text.strip_prefix(prefix)?)
}

/// A number as a constructor writes it, and in no other way: two keys are never the same thing.
fn number<N: std::str::FromStr + Display>(text: &str) -> Option<N> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = plain && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| canonical)
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
