//! Whether the master is there all the time. One that was stopped, or that the machine left no time, must
//! not hold against others what ran out meanwhile; nor must one that follows a dead one.

use std::time::Duration;

use herder_core::Tick;
use herder_core::supervisor::Event;

use super::{Master, now};
use crate::estate::Marks;
use crate::part::Part;

/// A loop that goes on so much later than it was to has stood still. What is due then was due for no longer
/// than this while nobody looked.
const LATE: Duration = Duration::from_secs(1);

/// One that comes so much later was away for a moment. Who gets a second in all, a Node worker that should end by
/// itself, has spent that moment waiting, too.
const SHORT: Duration = Duration::from_millis(100);

/// For how long the loop was not there, when it should have been.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Absence {
    /// Somewhat late.
    Moment(Duration),
    /// It stood still.
    Standstill(Duration),
}

/// When the main loop was there.
pub(super) struct Attendance {
    marks: Marks,
    seen: Tick,
    /// When it was to go on, at the latest; `None` = whenever something happens.
    due: Option<Tick>,
}

impl Attendance {
    pub(super) fn new(marks: Marks, now: Tick) -> Attendance {
        Attendance {
            marks,
            seen: now,
            due: Some(now),
        }
    }

    /// The loop goes on. Says for how long it stood still, if it did: that is since it was seen last, because
    /// nobody knows when in its sleep it was stopped.
    fn is_there(&mut self, now: Tick) -> Option<Absence> {
        let late = self.due.map_or(Duration::ZERO, |due| now.since(due));
        let lasted = now.since(self.seen);
        self.seen = now;
        self.due = Some(now);
        self.marks.turned(now);
        match late {
            late if late > LATE => Some(Absence::Standstill(lasted)),
            late if late > SHORT => Some(Absence::Moment(lasted)),
            _ => None,
        }
    }

    /// The loop sleeps for so long, or until something happens.
    fn sleeps(&mut self, timeout: Option<Duration>) {
        self.due = timeout.map(|timeout| self.seen.after(timeout));
    }

    /// For how long nobody was there, if another master wrote its state down at `written` and died some
    /// time after that.
    fn since_the_last(&self, written: Option<Tick>, now: Tick) -> Option<Duration> {
        let last = self.marks.last_turn().into_iter().chain(written).max()?;
        Some(now.since(last))
    }
}

impl Master {
    /// The loop goes on: if it stood still, everybody gets the time back.
    pub(super) fn attend(&mut self) {
        match self.attendance.is_there(now()) {
            Some(Absence::Standstill(lasted)) => self.stood_still(lasted),
            Some(Absence::Moment(lasted)) => self.excuse_lingering(lasted),
            None => {}
        }
    }

    /// The loop sleeps for so long, or until something happens.
    pub(super) fn sleep(&mut self, timeout: Option<Duration>) {
        self.attend();
        self.attendance.sleeps(timeout);
    }

    /// This master begins where another one ended, that had written its state down then.
    pub(super) fn make_up_for_absence(&mut self, written: Option<Tick>) {
        if let Some(lasted) = self.attendance.since_the_last(written, now()) {
            self.stood_still(lasted);
        }
    }

    /// Up to now nobody was in charge for so long.
    fn stood_still(&mut self, lasted: Duration) {
        let now = now();
        for part in self.crews.parts() {
            self.feed(part, Event::StoodStill { lasted });
        }
        self.excuse_lingering(lasted);
        // What they printed was read by nobody.
        for id in self.crews.living(Part::Workers) {
            let life = id.worker.incarnation.0;
            self.output.excuse_silence(id.part, life, now);
        }
        self.touch();
    }

    /// Node workers that should end by themselves had this long less for it.
    fn excuse_lingering(&mut self, lasted: Duration) {
        for member in self.crews.members_mut() {
            if let Some(node) = &mut member.node {
                node.stood_still(lasted);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Tick {
        Tick::from_micros(millis * 1000)
    }

    #[test]
    fn r30_a_loop_that_comes_late_stood_still_since_it_was_seen() {
        let millis = Duration::from_millis;
        let mut attendance = Attendance::new(Marks::private(), at(1000));
        assert_eq!(attendance.is_there(at(1050)), None, "a turn");
        let long_turn = Some(Absence::Moment(millis(850)));
        assert_eq!(attendance.is_there(at(1900)), long_turn);
        attendance.sleeps(Some(Duration::from_secs(3)));
        assert_eq!(attendance.is_there(at(4950)), None, "a little late");
        attendance.sleeps(Some(Duration::from_secs(1)));
        let somewhat_late = Some(Absence::Moment(millis(1550)));
        assert_eq!(attendance.is_there(at(6500)), somewhat_late);
        attendance.sleeps(Some(Duration::from_secs(2)));
        let stood = attendance.is_there(at(9600));
        assert_eq!(stood, Some(Absence::Standstill(millis(3100))));
        assert_eq!(attendance.is_there(at(9600)), None, "it is told once");
        let stood = attendance.is_there(at(11_000));
        let while_it_worked = Some(Absence::Standstill(millis(1400)));
        assert_eq!(stood, while_it_worked, "it was stopped within a turn");
    }

    #[test]
    fn a_loop_that_waits_for_nothing_but_news_is_never_late() {
        let mut attendance = Attendance::new(Marks::private(), at(1000));
        attendance.sleeps(None);
        assert_eq!(attendance.is_there(at(1_000_000)), None);
    }

    #[test]
    fn r30_the_time_without_a_master_begins_with_the_last_sign_of_life() {
        let marks = Marks::private();
        let attendance = Attendance::new(marks.clone(), at(20_000));
        let absence = |written| attendance.since_the_last(written, at(20_000));
        assert_eq!(absence(None), None, "a state of a build that noted nothing");
        assert_eq!(absence(Some(at(8000))), Some(Duration::from_secs(12)));
        marks.turned(at(15_000));
        assert_eq!(absence(Some(at(8000))), Some(Duration::from_secs(5)));
        assert_eq!(absence(Some(at(16_000))), Some(Duration::from_secs(4)));
    }
}
