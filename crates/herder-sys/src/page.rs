//! Numbers that outlive the process that counts them: a page of shared memory.

use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

use rustix::mm::{MapFlags, ProtFlags};

/// How many numbers there are.
const CELLS: usize = SharedPage::SIZE / size_of::<AtomicU64>();

/// The first page of some memory that processes share, as numbers that change atomically.
///
/// Whoever maps the same memory sees the same numbers, also after the death of who wrote them. The page
/// is for processes that trust each other: who can make the memory shorter ends everybody who looks at it.
#[derive(Debug)]
pub struct SharedPage {
    start: NonNull<AtomicU64>,
}

impl SharedPage {
    /// Its size in bytes.
    pub const SIZE: usize = 4096;

    /// Maps the first [`SharedPage::SIZE`] bytes of a memory file.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when the file is shorter, and those of `mmap`: `ENOMEM`, `EACCES`.
    pub fn map(memory: BorrowedFd<'_>) -> io::Result<SharedPage> {
        let size = rustix::fs::fstat(memory)?.st_size;
        if usize::try_from(size).map_or(true, |size| size < SharedPage::SIZE) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "shorter than a page",
            ));
        }
        // SAFETY: the kernel chooses the place, so nothing of ours is mapped over.
        let start = unsafe {
            rustix::mm::mmap(
                std::ptr::null_mut(),
                SharedPage::SIZE,
                READ_WRITE,
                MapFlags::SHARED,
                memory,
                0,
            )
        }?;
        SharedPage::at(start)
    }

    /// A page that only this process has: for who leaves nothing to anybody.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn private() -> io::Result<SharedPage> {
        // SAFETY: the kernel chooses the place, so nothing of ours is mapped over.
        let start = unsafe {
            rustix::mm::mmap_anonymous(
                std::ptr::null_mut(),
                SharedPage::SIZE,
                READ_WRITE,
                MapFlags::PRIVATE,
            )
        }?;
        SharedPage::at(start)
    }

    /// All numbers. They are 0 in new memory.
    #[must_use]
    pub fn cells(&self) -> &[AtomicU64; CELLS] {
        // SAFETY: the mapping is readable, writable, aligned to a page, of the size of the array and lives
        // as long as `self`; every bit pattern is a number, and others change them atomically only.
        unsafe { self.start.cast::<[AtomicU64; CELLS]>().as_ref() }
    }

    fn at(start: *mut std::ffi::c_void) -> io::Result<SharedPage> {
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(SharedPage { start })
    }
}

impl Drop for SharedPage {
    fn drop(&mut self) {
        // SAFETY: mapped with this size when `self` was made; no reference to it outlives `self`.
        let unmapped = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), SharedPage::SIZE) };
        debug_assert!(unmapped.is_ok(), "what is mapped can be unmapped");
    }
}

// SAFETY: it is a place in memory whose contents are atomic, and nothing about it belongs to a thread.
unsafe impl Send for SharedPage {}

// SAFETY: through a shared reference only atomic numbers can be reached.
unsafe impl Sync for SharedPage {}

const READ_WRITE: ProtFlags = ProtFlags::READ.union(ProtFlags::WRITE);

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::sync::atomic::Ordering::Relaxed;

    fn memory(size: u64) -> std::os::fd::OwnedFd {
        let memory = rustix::fs::memfd_create("test", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        rustix::fs::ftruncate(&memory, size).unwrap();
        memory
    }

    #[test]
    fn who_maps_the_same_memory_sees_the_same_numbers() {
        let memory = memory(8192);
        let first = SharedPage::map(memory.as_fd()).unwrap();
        assert!(first.cells().iter().all(|cell| cell.load(Relaxed) == 0));
        first.cells()[0].fetch_add(7, Relaxed);
        first.cells()[511].store(u64::MAX, Relaxed);
        let second = SharedPage::map(memory.as_fd()).unwrap();
        drop(first);
        assert_eq!(second.cells()[0].load(Relaxed), 7);
        assert_eq!(second.cells()[511].load(Relaxed), u64::MAX);
    }

    #[test]
    fn memory_without_a_page_is_refused() {
        let memory = memory(4095);
        let error = SharedPage::map(memory.as_fd()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn a_private_page_counts_too() {
        let page = SharedPage::private().unwrap();
        page.cells()[3].fetch_add(2, Relaxed);
        assert_eq!(page.cells()[3].load(Relaxed), 2);
    }
}
