//! Scheduling of the calling thread.

use std::io;

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

/// The normal policy again (`SCHED_OTHER`). Children inherit the policy of the thread that
/// starts them.
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
    const THIS_THREAD: i32 = 0;
    const CLASS_IDLE: i32 = 3 << 13;
    set_policy(libc::SCHED_IDLE)?;
    // SAFETY: three numbers; no memory is touched.
    let answer =
        unsafe { libc::syscall(libc::SYS_ioprio_set, OF_A_PROCESS, THIS_THREAD, CLASS_IDLE) };
    if answer == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

fn set_policy(policy: i32) -> io::Result<()> {
    const THIS_THREAD: i32 = 0;
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
}
