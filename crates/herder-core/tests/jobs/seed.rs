//! The first seed system, whose order of robots is known to the last message.

use herder_core::jobs::{Action, JobOutcome};

use crate::desk::{Desk, limited, millis};

/// How long a robot thinks about a message.
const THINK: u64 = 1000;

/// The client's pause between a result and its next message.
const PAUSE: u64 = 700;

/// How long a new robot takes to be ready.
const BOOT: u64 = 40;

/// A herd of two robots with two services each, and what its master does.
struct Herd {
    desk: Desk,
    newest: u64,
    seen: usize,
    booting: Vec<u64>,
}

impl Herd {
    fn new() -> Herd {
        Herd {
            desk: Desk::with(2, limited(2)),
            newest: 2,
            seen: 0,
            booting: Vec::new(),
        }
    }

    /// A robot that got its last job is replaced at that instant, and withdrawn.
    fn replace(&mut self) {
        while let Some(action) = self.desk.log.get(self.seen).copied() {
            self.seen += 1;
            if let Action::Exhausted { worker } = action {
                self.newest += 1;
                self.desk.expect(self.newest);
                self.booting.push(self.newest);
                self.desk.withdraw(worker.0);
            }
        }
    }

    fn boot(&mut self) {
        for id in std::mem::take(&mut self.booting) {
            self.desk.admit(id);
        }
    }

    /// One message, its two replies, and the client's pause.
    fn message(&mut self) {
        self.desk.send(1);
        let robot = *self.desk.dealt().last().expect("it was given to a robot");
        // The master hears of it before the robot has received anything.
        self.replace();
        let job = self.desk.start(robot);
        self.desk.pass(millis(BOOT));
        self.boot();
        self.desk.pass(millis(THINK - BOOT));
        self.desk.finish(robot, job);
        assert_eq!(self.desk.outcomes(job.0), [JobOutcome::Finished]);
        self.desk.pass(millis(PAUSE));
    }
}

#[test]
fn s0_nine_messages_go_to_the_robots_1_2_1_2_3_4_3_4_5() {
    let mut herd = Herd::new();
    for _ in 0..9 {
        herd.message();
    }
    assert_eq!(herd.desk.dealt(), [1, 2, 1, 2, 3, 4, 3, 4, 5]);
    for robot in 1..=4 {
        assert_eq!(herd.desk.exhausted(robot), 1);
        assert_eq!(herd.desk.withdrawn(robot), 1);
        assert_eq!(herd.desk.taken_back(robot), 0, "robot {robot} was robbed");
    }
    assert_eq!(herd.desk.exhausted(5), 0);
}

#[test]
fn s0_nine_messages_at_once_go_to_the_same_robots() {
    let mut herd = Herd::new();
    for _ in 0..9 {
        herd.desk.send(1);
        herd.replace();
    }
    assert_eq!(
        herd.desk.dealt(),
        [1, 2, 1, 2],
        "the others wait for their turns"
    );
    for robots in [[1, 2], [3, 4]] {
        for robot in robots {
            assert_eq!(herd.desk.link(robot).len(), 2);
            herd.desk.start(robot);
            herd.desk.start(robot);
        }
        herd.desk.pass(millis(BOOT));
        herd.boot();
        herd.replace();
    }
    assert_eq!(herd.desk.link(5), [9]);
    assert_eq!(
        herd.desk.dealt(),
        [1, 2, 1, 2, 3, 3, 4, 4, 5],
        "3 was ready before 4"
    );
}
