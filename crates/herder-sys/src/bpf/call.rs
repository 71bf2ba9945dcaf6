//! `bpf(2)`, one command a function.

use std::ffi::c_void;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::assembler::Instruction;

/// A map whose values are at their index.
pub(super) const MAP_ARRAY: u32 = 2;
/// A map of the sockets of `SO_REUSEPORT` groups.
pub(super) const MAP_SOCKETS: u32 = 20;
/// A program that is asked which socket of a group it is to be.
pub(super) const PROGRAM_SK_REUSEPORT: u32 = 21;
/// Such a program that is also asked whose the waiting connections of a closed socket are.
const SELECT_OR_MIGRATE: u32 = 40;

const CMD_MAP_CREATE: libc::c_int = 0;
const CMD_MAP_LOOKUP: libc::c_int = 1;
const CMD_MAP_UPDATE: libc::c_int = 2;
const CMD_MAP_DELETE: libc::c_int = 3;
const CMD_PROGRAM_LOAD: libc::c_int = 5;
const CMD_INFO_BY_FD: libc::c_int = 15;

/// What a map is, as the kernel is told and as it tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MapShape {
    pub(super) kind: u32,
    pub(super) key_size: u32,
    pub(super) value_size: u32,
    pub(super) entries: u32,
}

/// A map, as the kernel tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MapInfo {
    pub(super) id: u32,
    pub(super) shape: MapShape,
}

/// A program, as the kernel tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ProgramInfo {
    pub(super) kind: u32,
    /// How many maps it uses, and the first of their ids.
    pub(super) maps: u32,
    pub(super) map_ids: [u32; 3],
}

#[repr(C)]
struct MapCreate {
    kind: u32,
    key_size: u32,
    value_size: u32,
    entries: u32,
    flags: u32,
    inner: u32,
    numa_node: u32,
    name: [u8; 16],
}

#[repr(C)]
struct MapElement {
    map: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
struct ProgramLoad {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    attach_type: u32,
}

#[repr(C)]
struct InfoByFd {
    fd: u32,
    length: u32,
    info: u64,
}

/// The beginning of `struct bpf_map_info`.
#[repr(C)]
#[derive(Default)]
struct RawMapInfo {
    kind: u32,
    id: u32,
    key_size: u32,
    value_size: u32,
    entries: u32,
    flags: u32,
}

/// The beginning of `struct bpf_prog_info`.
#[repr(C)]
#[derive(Default)]
struct RawProgramInfo {
    kind: u32,
    id: u32,
    tag: [u8; 8],
    jited_length: u32,
    translated_length: u32,
    jited: u64,
    translated: u64,
    load_time: u64,
    uid: u32,
    map_count: u32,
    map_ids: u64,
}

/// Makes a map.
pub(super) fn create_map(name: &str, shape: MapShape) -> io::Result<OwnedFd> {
    let mut attributes = MapCreate {
        kind: shape.kind,
        key_size: shape.key_size,
        value_size: shape.value_size,
        entries: shape.entries,
        flags: 0,
        inner: 0,
        numa_node: 0,
        name: object_name(name),
    };
    let fd = bpf(CMD_MAP_CREATE, &mut attributes)?;
    Ok(owned(fd))
}

/// Loads the program. The verifier writes its reasons to `log`, as far as there is room.
pub(super) fn load_program(
    name: &str,
    instructions: &[Instruction],
    log: &mut [u8],
) -> io::Result<OwnedFd> {
    // No helper that the program calls asks for another one.
    let license = c"MIT";
    let mut attributes = ProgramLoad {
        kind: PROGRAM_SK_REUSEPORT,
        count: length(instructions.len()),
        instructions: address(instructions.as_ptr().cast()),
        license: address(license.as_ptr().cast()),
        log_level: u32::from(!log.is_empty()),
        log_size: length(log.len()),
        // Without a level there may be no buffer either.
        log: match log {
            [] => 0,
            log => address(log.as_mut_ptr().cast()),
        },
        kernel_version: 0,
        flags: 0,
        name: object_name(name),
        interface: 0,
        attach_type: SELECT_OR_MIGRATE,
    };
    let fd = bpf(CMD_PROGRAM_LOAD, &mut attributes)?;
    Ok(owned(fd))
}

/// Writes a value into a map. It has to be as large as the map's values are.
pub(super) fn update<T: Plain + ?Sized>(
    map: BorrowedFd<'_>,
    key: u32,
    value: &T,
) -> io::Result<()> {
    let value = address((&raw const *value).cast());
    bpf(CMD_MAP_UPDATE, &mut element(map, &raw const key, value)).map(drop)
}

/// Reads a value of a map. It has to be as large as the map's values are.
pub(super) fn look_up<T: Plain>(map: BorrowedFd<'_>, key: u32, value: &mut T) -> io::Result<()> {
    let value = address((&raw mut *value).cast_const().cast());
    bpf(CMD_MAP_LOOKUP, &mut element(map, &raw const key, value)).map(drop)
}

/// Removes an entry of a map.
pub(super) fn delete(map: BorrowedFd<'_>, key: u32) -> io::Result<()> {
    bpf(CMD_MAP_DELETE, &mut element(map, &raw const key, 0)).map(drop)
}

/// What a map is.
pub(super) fn map_info(map: BorrowedFd<'_>) -> io::Result<MapInfo> {
    let mut raw = RawMapInfo::default();
    info_by_fd(map, &mut raw)?;
    Ok(MapInfo {
        id: raw.id,
        shape: MapShape {
            kind: raw.kind,
            key_size: raw.key_size,
            value_size: raw.value_size,
            entries: raw.entries,
        },
    })
}

/// What a program is.
pub(super) fn program_info(program: BorrowedFd<'_>) -> io::Result<ProgramInfo> {
    let mut map_ids = [0_u32; 3];
    let mut raw = RawProgramInfo {
        map_count: length(map_ids.len()),
        map_ids: address((&raw mut map_ids).cast_const().cast()),
        ..RawProgramInfo::default()
    };
    info_by_fd(program, &mut raw)?;
    Ok(ProgramInfo {
        kind: raw.kind,
        maps: raw.map_count,
        map_ids,
    })
}

/// Types that are nothing but their bytes: the kernel may read and write them.
///
/// # Safety
///
/// Any bytes are a value, and there is no padding.
pub(super) unsafe trait Plain {}
// SAFETY: an integer.
unsafe impl Plain for u64 {}
// SAFETY: integers.
unsafe impl<const N: usize> Plain for [u32; N] {}
// SAFETY: integers.
unsafe impl<const N: usize> Plain for [u64; N] {}

/// Attributes of a command, laid out as the kernel's union has them.
///
/// # Safety
///
/// `#[repr(C)]`, without padding, and every address in it is of something that outlives the call and
/// is as large as the command says.
unsafe trait Attributes {}
// SAFETY: no addresses.
unsafe impl Attributes for MapCreate {}
// SAFETY: the addresses are of a key and of a value of the size of the map's.
unsafe impl Attributes for MapElement {}
// SAFETY: the addresses are of slices, with their lengths, and of a C string.
unsafe impl Attributes for ProgramLoad {}
// SAFETY: the address is of a structure of the length that is told.
unsafe impl Attributes for InfoByFd {}

fn bpf<A: Attributes>(command: libc::c_int, attributes: &mut A) -> io::Result<libc::c_int> {
    loop {
        // SAFETY: the pointer and the size describe `attributes`, which outlive the call, and what they
        // point to does too (see the trait). What they do not have the kernel takes for zero.
        let answer = unsafe {
            libc::syscall(
                libc::SYS_bpf,
                command,
                (&raw mut *attributes).cast::<c_void>(),
                size_of::<A>(),
            )
        };
        if answer >= 0 {
            return Ok(libc::c_int::try_from(answer).expect("a descriptor or zero"));
        }
        let error = io::Error::last_os_error();
        // The verifier of a kernel gives up at a signal with EAGAIN.
        let again = matches!(error.raw_os_error(), Some(libc::EINTR | libc::EAGAIN));
        if !again {
            return Err(error);
        }
    }
}

fn info_by_fd<T: Default>(fd: BorrowedFd<'_>, info: &mut T) -> io::Result<()> {
    let mut attributes = InfoByFd {
        fd: number(fd),
        length: length(size_of::<T>()),
        info: address((&raw mut *info).cast_const().cast()),
    };
    bpf(CMD_INFO_BY_FD, &mut attributes).map(drop)
}

fn element(map: BorrowedFd<'_>, key: *const u32, value: u64) -> MapElement {
    MapElement {
        map: number(map),
        padding: 0,
        key: address(key.cast()),
        value,
        flags: 0,
    }
}

fn owned(fd: libc::c_int) -> OwnedFd {
    // SAFETY: the kernel has just made it for us, close-on-exec as all of its kind.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// A name as the kernel's lists of objects show it.
fn object_name(name: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    // The last byte stays zero.
    let length = name.len().min(15);
    bytes[..length].copy_from_slice(&name.as_bytes()[..length]);
    bytes
}

fn address(pointer: *const c_void) -> u64 {
    pointer.expose_provenance() as u64
}

fn length(length: usize) -> u32 {
    u32::try_from(length).expect("a few kilobytes")
}

/// The number of a descriptor, as the kernel's attributes have it.
pub(super) fn number(fd: BorrowedFd<'_>) -> u32 {
    u32::try_from(fd.as_raw_fd()).expect("an open descriptor is no negative number")
}
