//! What is measured, and when.

use super::program::{Mark, Program, forked_start, own_start};
use super::rival::{Rival, Stage};
use crate::statistics::Median;
use herder_e2e::binary::Binary;
use herder_e2e::scene::Scene;
use serde::Serialize;
use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

/// How often apps are listed.
const LISTS: usize = 20;

/// Apps that do nothing: so many when an idle daemon's work is measured, and in the end.
const IDLE: usize = 20;
const MANY: usize = 100;

/// How long an idle daemon is looked at: PM2's has something to do every 30 s.
const LOOK: Duration = Duration::from_secs(30);

/// Before that: who is ready for 10 s has begun well, which is worth a note, and no work of an idle daemon.
const BEGINNING: Duration = Duration::from_secs(12);

/// How long a program has listened that is killed. Who ends within 10 s of being ready had a bad start.
const WELL: Duration = Duration::from_millis(10_500);

/// How long a daemon is left alone before its memory is looked at.
const SETTLE: Duration = Duration::from_secs(3);

/// What one of them did. Memory in millions of bytes, times in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Record {
    /// Memory of each process of the daemon without an app.
    pub memory_idle: Vec<f64>,
    /// With one app.
    pub memory_one: Vec<f64>,
    /// With a hundred.
    pub memory_hundred: Vec<f64>,
    /// Memory of what stands between the daemon and an app.
    pub memory_per_app: f64,
    /// How long `list` took.
    pub list: Vec<f64>,
    /// How long `start` took until the program listened.
    pub start_listening: Vec<f64>,
    /// And until the command had said so, too.
    pub start: Vec<f64>,
    /// How long it took from the death of a program until its replacement listened.
    pub respawn: Vec<f64>,
    /// How long `stop all` took.
    pub stop_all: f64,
    /// Processor time of all of it while nothing happened.
    pub idle_work: f64,
}

/// The records of both.
#[derive(Clone, Debug, Default, Serialize)]
pub struct DaemonContest {
    /// How long the program took by itself before each `start`.
    pub own_start: Vec<f64>,
    /// How long it took then as a worker of Node's own cluster.
    pub forked_start: Vec<f64>,
    /// How long the program took by itself before each replacement.
    pub own_respawn: Vec<f64>,
    /// Of all that took part.
    pub records: BTreeMap<Rival, Record>,
}

impl DaemonContest {
    /// Measures each that is installed; `rounds` starts and replacements.
    pub fn hold(rounds: usize) -> DaemonContest {
        // Built before the time is taken.
        Binary::HERDER.path();
        let rivals: Vec<Rival> = Rival::ALL
            .into_iter()
            .filter(|rival| rival.is_installed())
            .collect();
        let scenes: Vec<Scene> = rivals.iter().map(|_| Scene::new("daemon")).collect();
        let mut players: Vec<Player<'_>> = rivals
            .iter()
            .zip(&scenes)
            .map(|(rival, scene)| Player::new(*rival, scene))
            .collect();
        let mut contest = DaemonContest::default();
        thread::sleep(SETTLE);
        for player in &mut players {
            player.record.memory_idle = player.stage.memory();
        }
        contest.start(&mut players, rounds);
        for player in &mut players {
            player.record.list = (0..LISTS).map(|_| player.stage.list()).collect();
        }
        contest.replace(&mut players, rounds);
        for player in &mut players {
            player.begin_idle();
        }
        thread::sleep(BEGINNING);
        let before: Vec<f64> = players.iter().map(|it| it.stage.work()).collect();
        thread::sleep(LOOK);
        for (player, before) in players.iter_mut().zip(before) {
            player.record.idle_work = player.stage.work() - before;
        }
        for player in &mut players {
            player.stop_many();
        }
        contest.records = players.into_iter().map(Player::end).collect();
        contest
    }

    fn start(&mut self, players: &mut [Player<'_>], rounds: usize) {
        for round in 0..rounds {
            let name = format!("app-{round}");
            let own = own_start(players[0].scene, &format!("own-{round}"));
            self.own_start.push(own);
            let forked = forked_start(players[0].scene, &format!("forked-{round}"));
            self.forked_start.push(forked);
            for player in &mut *players {
                player.start(&name);
            }
            if round == 0 {
                thread::sleep(SETTLE);
                for player in &mut *players {
                    player.record.memory_one = player.stage.memory();
                    player.record.memory_per_app = player.stage.memory_of_herds();
                }
            }
        }
    }

    fn replace(&mut self, players: &mut [Player<'_>], rounds: usize) {
        let last = players.iter().filter_map(|player| player.last_start).max();
        let well = last.map(|at| (at + WELL).saturating_duration_since(Instant::now()));
        thread::sleep(well.unwrap_or_default());
        for round in 0..rounds {
            let own = own_start(players[0].scene, &format!("other-{round}"));
            self.own_respawn.push(own);
            for player in &mut *players {
                player.replace(round);
            }
        }
    }

    /// The median of what one did.
    pub fn median(&self, rival: Rival, figure: fn(&Record) -> &[f64]) -> Option<Median> {
        let record = self.records.get(&rival)?;
        Some(Median::of(figure(record).iter().copied()))
    }

    /// How many times the program's own start `figure` is.
    pub fn to_own(
        &self,
        rival: Rival,
        figure: fn(&Record) -> &[f64],
        own: &[f64],
    ) -> Option<Median> {
        let figures = figure(self.records.get(&rival)?).iter().copied();
        Some(Median::of_ratios(figures, own.iter().copied()))
    }
}

/// One of them while it plays.
struct Player<'a> {
    rival: Rival,
    scene: &'a Scene,
    stage: Stage<'a>,
    record: Record,
    programs: Vec<(Program, Mark)>,
    last_start: Option<Instant>,
}

impl<'a> Player<'a> {
    fn new(rival: Rival, scene: &'a Scene) -> Player<'a> {
        Player {
            rival,
            scene,
            stage: Stage::open(rival, scene),
            record: Record::default(),
            programs: Vec::new(),
            last_start: None,
        }
    }

    fn start(&mut self, name: &str) {
        let program = Program::new(self.scene, name);
        let started = self.stage.start(&program);
        self.record.start_listening.push(started.listening);
        self.record.start.push(started.listening.max(started.said));
        self.programs.push((program, started.mark));
        self.last_start = Some(Instant::now());
    }

    fn replace(&mut self, round: usize) {
        let (program, mark) = &self.programs[round];
        self.record.respawn.push(self.stage.replace(program, *mark));
    }

    /// From now on there is nothing to do.
    fn begin_idle(&mut self) {
        self.stage.all("delete");
        self.stage.start_idle(0..IDLE);
    }

    fn stop_many(&mut self) {
        self.stage.start_idle(IDLE..MANY);
        thread::sleep(SETTLE);
        self.record.memory_hundred = self.stage.memory();
        self.record.stop_all = self.stage.all("stop");
    }

    fn end(self) -> (Rival, Record) {
        self.stage.end();
        (self.rival, self.record)
    }
}
