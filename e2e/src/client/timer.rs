//! A timer in an epoll set, exact to some microseconds where the set's own time-out is not.

use rustix::event::epoll;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// The token of its events.
const TOKEN: u64 = u64::MAX;

pub(super) struct Timer {
    timer: OwnedFd,
    armed: Option<Instant>,
}

impl Timer {
    /// A timer in `set`; it wakes the set and its token is above every slot's.
    pub(super) fn new(set: &OwnedFd) -> Timer {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)
            .expect("a timer needs nothing but one descriptor");
        epoll::add(
            set,
            &timer,
            epoll::EventData::new_u64(TOKEN),
            epoll::EventFlags::IN,
        )
        .expect("a new descriptor can be added to a new set");
        Timer { timer, armed: None }
    }

    /// Lets the timer wake the set at `at`, at once when that is past.
    pub(super) fn arm(&mut self, at: Instant) {
        if self.armed == Some(at) {
            return;
        }
        // Zero would switch it off.
        let left = at
            .saturating_duration_since(Instant::now())
            .max(Duration::from_nanos(1));
        let once = Itimerspec {
            it_interval: Timespec::default(),
            it_value: Timespec::try_from(left).expect("a load is not made in centuries"),
        };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)
            .expect("the time is well-formed");
        self.armed = Some(at);
    }

    /// Takes its event away.
    pub(super) fn clear(&mut self) {
        // Nothing to read = rearmed in between.
        let _expirations = rustix::io::read(&self.timer, &mut [0; 8]);
        self.armed = None;
    }
}
