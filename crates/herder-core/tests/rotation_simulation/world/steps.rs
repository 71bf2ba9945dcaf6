//! What happens.

use std::time::Duration;

use herder_core::rotation::{Event, Load, Relief, Weight};
use herder_core::{Incarnation, Slot, Tick, WorkerId};

use super::run::{Life, Said, Told, Worker, World};
use super::trace;
use super::violation::Verdict;

impl World {
    pub(super) fn step(&mut self) -> Verdict {
        let workers: Vec<WorkerId> = self.workers.keys().copied().collect();
        let one = self.rng.pick(&workers);
        match self.rng.below(100) {
            0..40 => {
                let time = self.rng.between(100, 20_000);
                self.pass(Duration::from_micros(time))
            }
            40..60 => {
                for _ in 0..self.rng.below(20) {
                    self.kernel.arrive(&mut self.rng);
                }
                self.waiting()
            }
            60..66 => {
                let slot = u16::try_from(self.rng.below(self.slots.into())).expect("small");
                self.start(slot)
            }
            66..80 => one.map_or(Ok(()), |one| self.get_ready(one)),
            80..83 => one.map_or(Ok(()), |one| self.hold(one)),
            83..86 => one.map_or(Ok(()), |one| self.withdraw(one)),
            86..88 => one.map_or(Ok(()), |one| self.retire(one)),
            88..90 => one.map_or(Ok(()), |one| self.live(one, Life::Dead)),
            90..92 => one.map_or(Ok(()), |one| self.bury(one)),
            92..95 => one.map_or(Ok(()), |one| self.live(one, Life::Hung)),
            95..98 => one.map_or(Ok(()), |one| self.live(one, Life::Accepting)),
            98 => {
                self.brisk = self.rng.pick(&[0, 0, 3, 20]).unwrap_or(0);
                one.map_or(Ok(()), |one| self.report(one))
            }
            _ => self.gossip(),
        }
    }

    pub(super) fn start(&mut self, slot: u16) -> Verdict {
        let of_slot = self.workers.keys().filter(|it| it.slot.0 == slot);
        if of_slot.count() > 1 {
            return Ok(());
        }
        self.newest += 1;
        let worker = WorkerId {
            slot: Slot(slot),
            incarnation: Incarnation(self.newest),
        };
        let relief = match self.rng.below(3) {
            0 => Relief::HandOver,
            1 => Relief::Kill,
            _ => Relief::Move,
        };
        let speed = self.rng.between(1, 30);
        self.workers.insert(
            worker,
            Worker {
                relief,
                speed: u32::try_from(speed).expect("small"),
                served: 0,
                life: Life::Booting,
                told: Told::Started,
                said: Said::Keeps,
                back_at: None,
                owes_withdrawn: false,
            },
        );
        let weight = u8::try_from(self.rng.between(1, 4)).expect("small");
        let sockets = self.kernel.queues.len();
        self.tell(Event::Started {
            worker,
            weight: Weight::new(weight).expect("1 to 3"),
            relief,
        })?;
        self.tally.inherited += u64::from(self.kernel.queues.len() == sockets);
        Ok(())
    }

    pub(super) fn get_ready(&mut self, worker: WorkerId) -> Verdict {
        let it = self.workers.get_mut(&worker).expect("it is known");
        if it.life == Life::Booting {
            it.life = Life::Accepting;
        }
        if it.life == Life::Accepting && matches!(it.told, Told::Started | Told::Held) {
            it.told = Told::Admitted;
            it.said = Said::Keeps;
            if it.relief == Relief::Kill && self.rng.chance(500) {
                self.tell(Event::Guessed { worker })?;
            }
            return self.tell(Event::Admit { worker });
        }
        Ok(())
    }

    fn hold(&mut self, worker: WorkerId) -> Verdict {
        let it = self.workers.get_mut(&worker).expect("it is known");
        if it.told != Told::Admitted {
            return Ok(());
        }
        it.told = Told::Held;
        self.tell(Event::Hold { worker })
    }

    fn withdraw(&mut self, worker: WorkerId) -> Verdict {
        let it = self.workers.get_mut(&worker).expect("it is known");
        if matches!(it.told, Told::Withdrawn | Told::Retired) {
            return Ok(());
        }
        it.told = Told::Withdrawn;
        it.owes_withdrawn = true;
        self.tell(Event::Withdraw { worker })
    }

    fn retire(&mut self, worker: WorkerId) -> Verdict {
        let it = self.workers.get_mut(&worker).expect("it is known");
        if it.told != Told::Withdrawn {
            return Ok(());
        }
        it.told = Told::Retired;
        it.life = Life::Hung;
        self.tell(Event::Retire { worker })
    }

    fn live(&mut self, worker: WorkerId, life: Life) -> Verdict {
        let it = self.workers.get_mut(&worker).expect("it is known");
        let changes = match (it.life, life) {
            (Life::Dead, _) | (Life::Booting, Life::Hung | Life::Accepting) => false,
            _ => it.told != Told::Retired || life == Life::Dead,
        };
        if changes {
            trace::line(|| format!("{worker} is {life:?}"));
            it.life = life;
        }
        Ok(())
    }

    /// The death is told.
    pub(super) fn bury(&mut self, worker: WorkerId) -> Verdict {
        if self.workers[&worker].life != Life::Dead {
            return Ok(());
        }
        self.tally.died += 1;
        self.tell(Event::Gone { worker })?;
        self.workers.remove(&worker);
        self.rescues.retain(|(it, _)| *it != worker);
        Ok(())
    }

    fn report(&mut self, worker: WorkerId) -> Verdict {
        let it = self.workers.get_mut(&worker).expect("it is known");
        if it.life == Life::Accepting {
            it.served += self.rng.below(3);
        }
        let load = Load {
            open: u32::try_from(self.rng.below(20)).expect("small"),
            served: it.served,
            busy: 0,
        };
        self.tell(Event::Load { worker, load })
    }

    /// News of those who are not there (any more).
    fn gossip(&mut self) -> Verdict {
        let worker = WorkerId {
            slot: Slot(u16::try_from(self.rng.below(6)).expect("small")),
            incarnation: Incarnation(self.newest + 1_000),
        };
        let event = match self.rng.below(5) {
            0 => Event::Admit { worker },
            1 => Event::Hold { worker },
            2 => Event::Withdraw { worker },
            3 => Event::Gone { worker },
            _ => Event::Rescued { worker, count: 1 },
        };
        self.tell(event)
    }

    /// Time passes, and workers accept meanwhile.
    pub(super) fn pass(&mut self, time: Duration) -> Verdict {
        let end = self.now.after(time);
        while self.now < end {
            let until = self.next_moment().map_or(end, |at| at.min(end));
            self.now = self.now.max(until);
            self.accept();
            self.come_one_by_one();
            self.waiting()?;
            self.end_rescues()?;
            if self
                .rotation
                .poll_timeout()
                .is_some_and(|at| at <= self.now)
            {
                self.tell(Event::Timer)?;
            } else if self.next_moment().is_some_and(|at| at <= self.now) {
                continue;
            }
        }
        Ok(())
    }

    /// Each comes when the one before was accepted: whoever looks sees the last.
    fn come_one_by_one(&mut self) {
        for _ in 0..self.brisk {
            self.accept();
            self.kernel.arrive(&mut self.rng);
        }
        // Not always the same number, so that the last is not always at the same socket.
        if self.brisk > 0 && self.rng.chance(500) {
            self.accept();
            self.kernel.arrive(&mut self.rng);
        }
    }

    fn next_moment(&self) -> Option<Tick> {
        let rescues = self.rescues.iter().map(|(_, at)| *at);
        rescues.chain(self.rotation.poll_timeout()).min()
    }

    /// Whoever accepts does so.
    pub(super) fn accept(&mut self) {
        let accepting: Vec<(WorkerId, u32)> = self
            .workers
            .iter()
            .filter(|(_, it)| it.life == Life::Accepting)
            .map(|(worker, it)| (*worker, it.speed))
            .collect();
        for (worker, speed) in accepting {
            if let Some(socket) = self.rotation.socket_of(worker) {
                self.kernel.accept(socket, speed);
            }
        }
    }

    /// Somebody waits, and the rotation wants to hear of it.
    pub(super) fn waiting(&mut self) -> Verdict {
        if self.armed && self.kernel.waiting() > 0 {
            self.armed = false;
            return self.tell(Event::Waiting);
        }
        Ok(())
    }

    fn end_rescues(&mut self) -> Verdict {
        let now = self.now;
        let over: Vec<WorkerId> = self
            .rescues
            .iter()
            .filter(|(_, at)| *at <= now)
            .map(|(worker, _)| *worker)
            .collect();
        self.rescues.retain(|(_, at)| *at > now);
        for worker in over {
            let socket = self.rotation.socket_of(worker);
            let count = socket.map_or(0, |socket| self.kernel.accept(socket, u32::MAX));
            self.tally.rescued += u64::from(count);
            self.tell(Event::Rescued { worker, count })?;
        }
        Ok(())
    }
}
