//! The Linux calls that herder makes, as owned and safe types.
//!
//! This is the only crate of the workspace with unsafe code. Everything else asks here, so that
//! each system call has one place where its errors, its interruptions and the lifetime of its
//! descriptors are thought about.
//!
//! Rules that hold in every module:
//!
//! - Every descriptor made here is close-on-exec. What a program is meant to inherit is put in
//!   place explicitly ([`apply`]).
//! - Descriptors are owned (`OwnedFd`) or borrowed (`BorrowedFd`), never bare numbers, except
//!   where the number itself is the subject.
//! - Errors are [`std::io::Error`] with the number of the kernel, unless a type of its own can
//!   say more (for instance [`listener::ListenError`]).
//! - An interrupted call is repeated; the caller never sees `EINTR`.

#[cfg(not(target_os = "linux"))]
compile_error!("herder runs on Linux only: it is built on pidfds, epoll and descriptor passing.");

pub mod apply;
pub mod bpf;
pub mod cgroup;
pub mod clock;
pub mod directory;
pub mod env;
pub mod epoll;
pub mod failpoint;
pub mod fd;
pub mod limits;
pub mod listener;
pub mod listening;
pub mod lock;
pub mod manager;
pub mod memory;
pub mod page;
pub mod pidfd;
pub mod pipe;
pub mod proc;
pub mod process;
pub mod random;
pub mod reserve;
pub mod residence;
pub mod sched;
pub mod signal;
pub mod socket;
pub mod title;
pub mod user;
pub mod wake;
