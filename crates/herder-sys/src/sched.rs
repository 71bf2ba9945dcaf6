//! Scheduling of the calling thread.

use std::io;
use std::num::NonZeroU64;
use std::time::Duration;

/// Asks the kernel to let this thread run longer before it is exchanged (`SCHED_BATCH`).
///
/// For a thread that hands over connections: each one it wakes would otherwise push it aside
/// before it has handed over the next.
///
/// # Errors
/// `EPERM` where a container forbids it; the caller goes on without.
pub fn batch_this_thread() -> io::Result<()> {
    set_policy(libc::SCHED_BATCH)
}

/// Has this thread run as soon as it wakes: with the shortest slices of processor time that the kernel gives (0.1 ms),
/// and with timers that wait for no others.
///
/// For a thread that does little, and in time: as it wakes, it may take the place of one that has longer slices (EEVDF,
/// Linux 6.12); else it waits up to one of those, some milliseconds. An older kernel ignores it. Children inherit the
/// slices.
///
/// # Errors
/// `EPERM` or `ENOSYS` where a container forbids it; the caller goes on without.
pub fn prompt_this_thread() -> io::Result<()> {
    const SLICE: Duration = Duration::from_micros(100);
    let mut attributes = attributes_of_this_thread()?;
    attributes.sched_runtime = u64::try_from(SLICE.as_nanos()).unwrap_or(0);
    // SAFETY: the kernel reads a whole `sched_attr` of the size that it names.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_sched_setattr,
            THIS_THREAD,
            &raw const attributes,
            NO_FLAGS,
        )
    };
    done(answer)?;
    Ok(rustix::thread::set_current_timer_slack(NonZeroU64::new(1))?)
}

fn attributes_of_this_thread() -> io::Result<libc::sched_attr> {
    const SIZE: usize = size_of::<libc::sched_attr>();
    // SAFETY: eight numbers, for each of which zero is one.
    let mut attributes: libc::sched_attr = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes at most the size it is told.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_sched_getattr,
            THIS_THREAD,
            &raw mut attributes,
            SIZE,
            NO_FLAGS,
        )
    };
    done(answer).map(|()| attributes)
}

/// The normal policy again (`SCHED_OTHER`), with slices as long as anybody's. Children inherit the policy of the thread
/// that starts them.
///
/// # Errors
/// `EPERM` where a container forbids it.
pub fn normal_this_thread() -> io::Result<()> {
    set_policy(libc::SCHED_OTHER)
}

/// Lets this thread run only when nobody else wants to (`SCHED_IDLE`), on processor and, where the disk's
/// scheduler knows priorities, on disk.
///
/// # Errors
/// `EPERM` where a container forbids it; the caller goes on without.
pub fn idle_this_thread() -> io::Result<()> {
    const OF_A_PROCESS: i32 = 1;
    const CLASS_IDLE: i32 = 3 << 13;
    set_policy(libc::SCHED_IDLE)?;
    // SAFETY: three numbers; no memory is touched.
    let answer =
        unsafe { libc::syscall(libc::SYS_ioprio_set, OF_A_PROCESS, THIS_THREAD, CLASS_IDLE) };
    done(answer)
}

const THIS_THREAD: i32 = 0;
const NO_FLAGS: u32 = 0;

fn set_policy(policy: i32) -> io::Result<()> {
    let none = libc::sched_param { sched_priority: 0 };
    // The raw call: not every C library passes this one on.
    // SAFETY: `none` is a valid parameter block for both policies, which know no priority.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_sched_setscheduler,
            THIS_THREAD,
            policy,
            &raw const none,
        )
    };
    done(answer)
}

fn done(answer: libc::c_long) -> io::Result<()> {
    if answer == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> i32 {
        // SAFETY: asks about the calling thread, takes no pointer.
        let answer = unsafe { libc::syscall(libc::SYS_sched_getscheduler, 0) };
        i32::try_from(answer).unwrap()
    }

    #[test]
    fn a_thread_becomes_batch_and_normal_again() {
        batch_this_thread().unwrap();
        assert_eq!(policy(), libc::SCHED_BATCH);
        normal_this_thread().unwrap();
        assert_eq!(policy(), libc::SCHED_OTHER);
    }

    #[test]
    fn a_prompt_thread_has_the_policy_and_niceness_that_it_had() {
        let before = attributes_of_this_thread().unwrap();
        prompt_this_thread().unwrap();
        let after = attributes_of_this_thread().unwrap();
        assert_eq!(after.sched_policy, before.sched_policy);
        assert_eq!(after.sched_nice, before.sched_nice);
        // An older kernel tells 0, and gives none.
        assert!(
            after.sched_runtime <= 100_000,
            "slices of {} ns",
            after.sched_runtime
        );
    }
}
