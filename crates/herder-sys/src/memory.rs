//! Memory as a file: sealed for large payloads (written once, then nobody can change what the other
//! reads), and of a fixed size for what outlives its writer.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{MemfdFlags, Mode, SealFlags, SeekFrom};
use rustix::io::{Errno, retry_on_intr};

/// Puts `bytes` into memory that can be passed to another process and never changes again.
///
/// # Errors
///
/// `EMFILE`, or `ENOSPC`/`ENOMEM` when there is no memory.
pub fn sealed(bytes: &[u8]) -> io::Result<OwnedFd> {
    let memory = create()?;
    let mut rest = bytes;
    while !rest.is_empty() {
        let written = retry_on_intr(|| rustix::io::write(&memory, rest))?;
        rest = &rest[written..];
    }
    rustix::fs::fcntl_add_seals(&memory, FIXED | SealFlags::SEAL)?;
    Ok(memory)
}

/// Copies a file from its beginning, at most `max` bytes of it, into memory that never changes again. The
/// kernel does it: no byte of the file comes into this process. The copy has the file's mode.
///
/// # Errors
///
/// As [`sealed`]; what reading answers, and `EINVAL` where the kernel cannot copy from this file system.
pub fn copied(file: BorrowedFd<'_>, max: u64) -> io::Result<OwnedFd> {
    let memory = create()?;
    let (mut position, mut left) = (0, max);
    while left > 0 {
        // More than fits behind the position is refused.
        let wanted = usize::try_from(left.min(AT_ONCE)).unwrap_or(usize::MAX);
        let copy = || rustix::fs::sendfile(&memory, file, Some(&mut position), wanted);
        match retry_on_intr(copy)? {
            0 => break,
            count => left -= count as u64,
        }
    }
    // Who reads on from where it stands begins at the beginning.
    rustix::fs::seek(&memory, SeekFrom::Start(0))?;
    let mode = Mode::from_raw_mode(rustix::fs::fstat(file)?.st_mode);
    // Memory that was made just now may be opened by everybody who finds it below `/proc`.
    rustix::fs::fchmod(&memory, mode & (Mode::RWXU | Mode::RWXG | Mode::RWXO))?;
    rustix::fs::fcntl_add_seals(&memory, FIXED | SealFlags::SEAL)?;
    Ok(memory)
}

/// Memory of exactly `size` bytes, all zero, that can be written and mapped as often as one likes. It
/// can never become shorter, so that who maps it need not fear for it. What is not written costs nothing.
///
/// # Errors
///
/// `EMFILE`, or `ENOSPC`/`ENOMEM` when there is no memory.
pub fn of_size(size: u64) -> io::Result<OwnedFd> {
    let memory = create()?;
    rustix::fs::ftruncate(&memory, size)?;
    let whole = SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&memory, whole)?;
    Ok(memory)
}

/// Reads what [`sealed`] made, from its start, whatever the position of the descriptor.
///
/// # Errors
///
/// `InvalidData` when the descriptor is not sealed memory (its sender could change it, or make it
/// shorter while we read) or holds more than `max` bytes. Nothing of it has been read then.
pub fn read_sealed(fd: BorrowedFd<'_>, max: usize) -> io::Result<Vec<u8>> {
    let seals = rustix::fs::fcntl_get_seals(fd).map_err(|_| unacceptable("not sealable memory"))?;
    if !seals.contains(FIXED) {
        return Err(unacceptable("memory that is not sealed"));
    }
    let size = usize::try_from(rustix::fs::fstat(fd)?.st_size)
        .map_err(|_| unacceptable("memory of an impossible size"))?;
    if size > max {
        return Err(unacceptable("sealed memory larger than allowed"));
    }
    let mut bytes = vec![0; size];
    let mut filled = 0;
    while filled < size {
        let position = filled as u64;
        match retry_on_intr(|| rustix::io::pread(fd, &mut bytes[filled..], position))? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => filled += read,
        }
    }
    Ok(bytes)
}

/// How much is copied by one call, in bytes.
const AT_ONCE: u64 = 1 << 30;

/// Without these three, the bytes are not the same twice.
const FIXED: SealFlags = SealFlags::GROW
    .union(SealFlags::SHRINK)
    .union(SealFlags::WRITE);

fn create() -> rustix::io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Since Linux 6.3 one should say that nobody will execute it; before, the flag is unknown.
    match rustix::fs::memfd_create("herder", flags | MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => rustix::fs::memfd_create("herder", flags),
        result => result,
    }
}

fn unacceptable(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{File, Permissions};
    use std::io::Read;
    use std::os::fd::AsFd;
    use std::os::unix::fs::PermissionsExt;

    fn refusal(fd: &OwnedFd, max: usize) -> String {
        let error = read_sealed(fd.as_fd(), max).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        error.to_string()
    }

    #[test]
    fn round_trip_empty_small_and_large() {
        for size in [0, 1, 60 * 1024 + 1, 3 << 20] {
            let bytes: Vec<u8> = (0..=255).cycle().take(size).collect();
            let memory = sealed(&bytes).unwrap();
            assert_eq!(read_sealed(memory.as_fd(), size).unwrap(), bytes);
            assert_eq!(
                read_sealed(memory.as_fd(), size).unwrap(),
                bytes,
                "a second time"
            );
        }
    }

    #[test]
    fn sealed_memory_cannot_be_written_grown_or_shrunk() {
        let memory = sealed(b"fixed").unwrap();
        assert_eq!(
            rustix::io::pwrite(&memory, b"x", 0).unwrap_err(),
            Errno::PERM
        );
        assert_eq!(rustix::fs::ftruncate(&memory, 1).unwrap_err(), Errno::PERM);
        assert_eq!(rustix::fs::ftruncate(&memory, 99).unwrap_err(), Errno::PERM);
        assert_eq!(
            rustix::fs::fcntl_add_seals(&memory, SealFlags::WRITE).unwrap_err(),
            Errno::PERM
        );
    }

    #[test]
    fn unsealed_partly_sealed_and_foreign_descriptors_are_refused() {
        let memory = create().unwrap();
        rustix::io::write(&memory, b"loose").unwrap();
        assert_eq!(refusal(&memory, 10), "memory that is not sealed");
        rustix::fs::fcntl_add_seals(&memory, SealFlags::WRITE | SealFlags::GROW).unwrap();
        assert_eq!(refusal(&memory, 10), "memory that is not sealed");
        assert_eq!(
            refusal(&crate::fd::null().unwrap(), 10),
            "not sealable memory"
        );
    }

    #[test]
    fn a_copy_stays_what_the_file_was_when_it_was_made() {
        let path = std::env::temp_dir().join(format!("herder-copied-{}", std::process::id()));
        let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        std::fs::write(&path, &bytes).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let mut file = File::open(&path).unwrap();
        // From its beginning, wherever somebody has come to who reads it, too.
        file.read_exact(&mut [0; 10]).unwrap();
        let whole = copied(file.as_fd(), u64::MAX).unwrap();
        let part = copied(file.as_fd(), 70_000).unwrap();
        std::fs::write(&path, b"something else").unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(read_sealed(whole.as_fd(), bytes.len()).unwrap(), bytes);
        assert_eq!(read_sealed(part.as_fd(), 70_000).unwrap(), bytes[..70_000]);
        let mode = rustix::fs::fstat(&whole).unwrap().st_mode & 0o7777;
        assert_eq!(mode, 0o640);
        let empty = copied(crate::memory::sealed(b"").unwrap().as_fd(), 5).unwrap();
        assert_eq!(read_sealed(empty.as_fd(), 0).unwrap(), b"");
    }

    #[test]
    fn memory_of_a_size_keeps_it_and_can_be_written() {
        let memory = of_size(8192).unwrap();
        assert_eq!(rustix::io::pwrite(&memory, b"x", 8191).unwrap(), 1);
        assert_eq!(rustix::fs::ftruncate(&memory, 1).unwrap_err(), Errno::PERM);
        assert_eq!(
            rustix::fs::ftruncate(&memory, 9000).unwrap_err(),
            Errno::PERM
        );
    }

    #[test]
    fn one_byte_too_many_is_refused() {
        let memory = sealed(b"12345").unwrap();
        assert_eq!(refusal(&memory, 4), "sealed memory larger than allowed");
    }
}
