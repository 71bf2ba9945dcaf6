//! Herds that listen at a TCP address and at a Unix socket when nothing is said of who accepts: the kernel picks the
//! worker at the one, and at the other connections are passed to Rust workers, and shared by those of commands. What
//! holds for either mode alone holds for both. This needs the right to load programs into the kernel.

#![expect(clippy::print_stdout, reason = "what a failure is judged by")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use herder_e2e::client::{Ledger, Load, Running, Target, get};
use herder_e2e::deploy::end_master;
use herder_e2e::foreign::{BOOT, Seat, accepted_by, address, freeze, pid_of_body, run, wait_for};
use herder_e2e::herd::{Herd, NO_KERNEL_DISPATCH, Setup, Signal};
use herder_e2e::native;
use herder_e2e::order::{Order, Worker};
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// What the workers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Tasks,
    Blocking,
    Command,
}

const ALL: [Kind; 3] = [Kind::Tasks, Kind::Blocking, Kind::Command];

/// A command that serves at each listener that it finds.
fn program() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs/several.py");
    path.to_str().unwrap().to_owned()
}

/// Three workers that listen at both.
struct Three {
    herd: Herd,
    tcp: Target,
    unix: Target,
    workers: Vec<Seat>,
}

impl Kind {
    fn setup(self, scene: &Scene, path: &Path, options: &[&str]) -> Setup {
        let unix = format!("unix:{}", path.display());
        let listen = ["--listen", "127.0.0.1:0", "--listen", &unix];
        let setup = match self {
            Kind::Tasks | Kind::Blocking => {
                let usual = ["--workers", "3", "--dispatch", "auto"];
                let kind = (self == Kind::Blocking).then_some("--blocking");
                let setup = native::herd(scene, &[&usual[..], &listen].concat());
                setup.args(kind).args(options)
            }
            Kind::Command => {
                let usual = ["-i", "3", "--ready", "notify", "--max-restarts", "0"];
                let options = [&usual[..], &listen, options].concat();
                run(scene, &options, &["python3", &program()])
            }
        };
        setup.env(NO_KERNEL_DISPATCH, "")
    }

    fn start(self, scene: &Scene, options: &[&str]) -> Three {
        let path = scene.directory().join(format!("{self:?}.sock"));
        let herd = self.setup(scene, &path, options).start();
        let workers = wait_for(&herd, 0, 3, "ready", BOOT);
        Three {
            tcp: address(&herd).into(),
            unix: Target::Unix(path),
            herd,
            workers,
        }
    }

    /// A time, in the words of its options.
    fn time(self, millis: u32) -> String {
        match self {
            Kind::Tasks | Kind::Blocking => millis.to_string(),
            Kind::Command => format!("{millis}ms"),
        }
    }

    /// How its Unix connections reach it.
    fn beside(self) -> &'static str {
        match self {
            Kind::Tasks | Kind::Blocking => "pass",
            Kind::Command => "shared",
        }
    }
}

impl Three {
    fn both(&self) -> [&Target; 2] {
        [&self.tcp, &self.unix]
    }

    fn load(&self, target: &Target) -> Load {
        let load = Load::http(target.clone(), "/").timeout(BOOT * 2);
        load.worker_from(pid_of_body)
    }

    /// Traffic at both, until it is stopped.
    fn traffic(&self) -> [Running; 2] {
        self.both()
            .map(|target| self.load(target).clients(4).start())
    }

    /// All three serve at each of them.
    fn all_serve(&self) {
        for target in self.both() {
            let load = Load::http(target.clone(), "/slow/5").timeout(BOOT);
            let load = load.worker_from(pid_of_body).clients(9).count(90);
            load.run_until("all serve", |ledger| ledger.per_worker().len() == 3);
        }
    }

    /// A worker that stands still is killed while many ask at both: it has nobody's request, and all are answered.
    fn survives_the_death_of(&self, victim: i32) {
        freeze(&self.herd, &[victim]);
        let loads = self.both();
        let loads = loads.map(|it| self.load(it).clients(60).count(60).start());
        // The others have answered theirs.
        for load in &loads {
            load.wait_for_total(20, BOOT);
        }
        self.herd.signal_to(victim, Signal::KILL);
        for load in loads {
            let ledger = load.finish();
            ledger.assert_no_failure();
            assert_eq!(ledger.complete(), 60, "{ledger}");
        }
    }

    /// How many connections are with a worker, or about to be.
    fn connected(&self, target: &Target) -> usize {
        match target {
            Target::Tcp(_) => self
                .workers
                .iter()
                .map(|it| accepted_by(it.pid).len())
                .sum(),
            Target::Unix(path) => accepted_at(path),
        }
    }
}

/// How many connections of a Unix listener were accepted, by whoever did it.
fn accepted_at(path: &Path) -> usize {
    const CONNECTED: &str = "03";
    let table = fs::read_to_string("/proc/net/unix").unwrap();
    let is_one = |line: &&str| {
        let mut words = line.split_whitespace().skip(5);
        words.next() == Some(CONNECTED) && words.nth(1).map(Path::new) == Some(path)
    };
    table.lines().filter(is_one).count()
}

fn wait_for_more(traffic: &[Running]) {
    for load in traffic {
        load.wait_for_answers(50, BOOT);
    }
}

fn finish_after_more(traffic: [Running; 2]) {
    wait_for_more(&traffic);
    finish(traffic);
}

/// Nobody was turned away.
fn finish(traffic: [Running; 2]) {
    for load in traffic {
        let ledger = load.stop_and_finish();
        println!("{ledger}");
        ledger.assert_no_failure();
    }
}

#[test]
fn kernel_beside_the_line_at_the_start_names_the_mode_of_each() {
    let scene = Scene::new("beside_line");
    for kind in ALL {
        let three = kind.start(&scene, &[]);
        let line = three.herd.wait_for_line("the mode", BOOT, |line| {
            line.contains("dispatch: ").then(|| line.to_owned())
        });
        let (Target::Tcp(tcp), Target::Unix(path)) = (&three.tcp, &three.unix) else {
            unreachable!("one of each");
        };
        let beside = kind.beside();
        let modes = format!(
            "dispatch: kernel for {tcp}, {beside} for unix:{}",
            path.display()
        );
        let why = "(the kernel takes its program; a Unix socket has one listener)";
        assert!(line.ends_with(&format!("{modes} {why}")), "{line}");
        three.all_serve();
        assert!(three.herd.end().success());
        assert!(!path.exists(), "the socket goes with the herd");
    }
}

#[test]
fn kernel_beside_a_command_finds_its_listeners_in_the_order_of_their_addresses() {
    let scene = Scene::new("beside_order");
    let three = Kind::Command.start(&scene, &[]);
    let Target::Tcp(tcp) = three.tcp else {
        unreachable!("it is TCP");
    };
    assert_eq!(get(tcp, "/names").unwrap(), "listener-0:listener-1");
    assert!(three.herd.end().success());
    let path = scene.directory().join("first.sock");
    let unix = format!("unix:{}", path.display());
    let options = [
        "-i",
        "1",
        "--ready",
        "notify",
        "-l",
        &unix,
        "-l",
        "127.0.0.1:0",
    ];
    let herd = run(&scene, &options, &["python3", &program()]);
    let herd = herd.env(NO_KERNEL_DISPATCH, "").start();
    let workers = wait_for(&herd, 0, 1, "ready", BOOT);
    assert_eq!(kinds_of_listeners(workers[0].pid), ["unix", "tcp"]);
    assert!(herd.end().success());
}

/// Of the descriptors 3 and 4 of a process.
fn kinds_of_listeners(pid: i32) -> [&'static str; 2] {
    let unix = fs::read_to_string("/proc/net/unix").unwrap();
    [3, 4].map(|fd| {
        let link = fs::read_link(format!("/proc/{pid}/fd/{fd}")).unwrap();
        let link = link.to_string_lossy().into_owned();
        let inode = link.trim_start_matches("socket:[").trim_end_matches(']');
        let is_unix = unix
            .lines()
            .any(|line| line.split(' ').any(|it| it == inode));
        if is_unix { "unix" } else { "tcp" }
    })
}

#[test]
fn kernel_beside_reloads_and_scaling_lose_nothing_at_either() {
    let scene = Scene::new("beside_reload");
    for kind in ALL {
        let three = kind.start(&scene, &["--soak", &kind.time(100)]);
        let traffic = three.traffic();
        wait_for_more(&traffic);
        three.herd.signal(Signal::HUP);
        three.herd.wait_for_line("the reload", BOOT * 3, |line| {
            line.contains("generation 2 is in service").then_some(())
        });
        wait_for_more(&traffic);
        for (signal, what) in [(Signal::TTIN, "ready"), (Signal::TTOU, "ended: ")] {
            let mark = three.herd.mark();
            three.herd.signal(signal);
            wait_for(&three.herd, mark, 1, what, BOOT);
            wait_for_more(&traffic);
        }
        finish(traffic);
        three.all_serve();
        assert!(three.herd.end().success());
    }
}

/// A version of which one dies while it has to prove itself: those of before serve again, at both.
#[test]
fn r38_kernel_beside_a_version_that_dies_is_rolled_back() {
    let scene = Scene::new("beside_rollback");
    for kind in ALL {
        // Longer than the machine may stand still until one has died.
        let three = kind.start(&scene, &["--soak", &kind.time(60_000)]);
        let mark = three.herd.mark();
        three.herd.signal(Signal::HUP);
        let next = wait_for(&three.herd, mark, 3, "ready", BOOT);
        three.survives_the_death_of(next[1].pid);
        three
            .herd
            .wait_for_line_after(mark, "the rollback", BOOT, |line| {
                line.contains("was rolled back to 1").then_some(())
            });
        finish_after_more(three.traffic());
        let ledgers = three.both().map(|it| three.load(it).count(60).run());
        let before: BTreeSet<i32> = three.workers.iter().map(|it| it.pid).collect();
        for ledger in ledgers {
            ledger.assert_no_failure();
            let now = ledger.per_worker().into_keys().collect();
            assert!(before.is_superset(&now), "{before:?}: {ledger}");
        }
        assert!(three.herd.end().success());
    }
}

#[test]
fn r25c_kernel_beside_a_killed_workers_connections_of_each_are_served() {
    let scene = Scene::new("beside_kill");
    for kind in ALL {
        let three = kind.start(&scene, &[]);
        let mut workers: Vec<i32> = three.workers.iter().map(|seat| seat.pid).collect();
        for _ in 0..3 {
            let mark = three.herd.mark();
            three.survives_the_death_of(workers.remove(0));
            workers.push(wait_for(&three.herd, mark, 1, "ready", BOOT)[0].pid);
        }
        three.all_serve();
        assert!(three.herd.end().success());
    }
}

#[test]
fn kernel_beside_recycling_loses_nothing_at_either() {
    let scene = Scene::new("beside_recycle");
    for kind in ALL {
        let limit = match kind {
            Kind::Tasks => ["--max-requests", "200"],
            Kind::Blocking => ["--max-lifetime", "1000"],
            Kind::Command => ["--max-lifetime", "1s"],
        };
        let three = kind.start(&scene, &limit);
        let traffic = three.traffic();
        // Each was replaced once.
        wait_for(&three.herd, 0, 3, "ended: ", BOOT * 3);
        finish_after_more(traffic);
        assert!(three.herd.end().success());
    }
}

#[test]
fn r26_kernel_beside_the_next_master_and_the_next_build_go_on_with_each() {
    let scene = Scene::new("beside_heirs");
    for kind in ALL {
        let three = kind.start(&scene, &[]);
        let traffic = three.traffic();
        wait_for_more(&traffic);
        let takeover = end_master(&three.herd, Signal::KILL, BOOT);
        assert_eq!(takeover.workers, 3);
        wait_for_more(&traffic);
        three.herd.signal(Signal::USR2);
        three.herd.wait_for_line("the upgrade", BOOT, |line| {
            line.contains("the master goes on as").then_some(())
        });
        wait_for_more(&traffic);
        // A worker that another master has started is replaced by this one.
        let mark = three.herd.mark();
        three.herd.signal_to(three.workers[0].pid, Signal::TERM);
        wait_for(&three.herd, mark, 1, "ready", BOOT);
        wait_for_more(&traffic);
        let [tcp, unix] = traffic.map(Running::stop_and_finish);
        tcp.assert_no_failure();
        // What a dying master has in its hand dies with it, and is told.
        assert_only_cut(
            &unix,
            if kind == Kind::Command {
                0
            } else {
                takeover.cut
            },
        );
        three.all_serve();
        assert!(three.herd.end().success());
        let Target::Unix(path) = three.unix else {
            unreachable!("it is a Unix socket");
        };
        assert!(!path.exists(), "the socket goes with the herd");
    }
}

fn assert_only_cut(ledger: &Ledger, cut: u64) {
    println!("{ledger}");
    let failed: Vec<_> = ledger.failures().collect();
    let are_cut = failed.iter().all(|it| native::is_cut(it.outcome));
    assert!(are_cut && failed.len() as u64 <= cut, "{cut}: {ledger}");
}

/// A herd that stops serves who had connected to either.
#[test]
fn kernel_beside_who_had_connected_is_served_at_the_end() {
    let scene = Scene::new("beside_end");
    for kind in [Kind::Tasks, Kind::Command] {
        let three = kind.start(&scene, &["--grace", &kind.time(10_000)]);
        let slow = three.both().map(|target| {
            let load = Load::http(target.clone(), "/slow/2000").timeout(BOOT);
            load.clients(12).count(12).start()
        });
        for target in three.both() {
            wait::until(BOOT, "all are in", || {
                (three.connected(target) == 12).then_some(())
            });
        }
        three.herd.signal(Signal::TERM);
        for load in slow {
            let ledger = load.finish();
            ledger.assert_no_failure();
            assert_eq!(ledger.complete(), 12, "{kind:?}: {ledger}");
        }
        assert!(three.herd.wait_for_exit(BOOT).success());
    }
}

#[test]
fn kernel_beside_a_mode_that_was_asked_for_is_refused_where_it_cannot_be() {
    let scene = Scene::new("beside_refused");
    let path = scene.directory().join("it.sock");
    let unix = format!("unix:{}", path.display());
    let listen = ["--listen", "127.0.0.1:0", "--listen", &unix];
    for mode in ["kernel", "reuseport"] {
        let options = [&["--dispatch", mode], &listen[..]].concat();
        for setup in [
            native::herd(&scene, &options),
            run(&scene, &options, &["sleep", "60"]),
        ] {
            let refused = setup.start();
            let line = refused.wait_for_line("why", BOOT, |line| {
                line.contains("a Unix socket").then(|| line.to_owned())
            });
            assert!(line.contains(&unix), "{line}");
            assert!(!refused.wait_for_exit(BOOT).success());
        }
    }
}

/// As the daemon runs it: `herder describe` shows what is in the status.
#[test]
fn kernel_beside_the_status_has_both_modes_and_a_reload_keeps_the_addresses() {
    let scene = Scene::new("beside_status");
    let path = scene.directory().join("it.sock");
    let unix = format!("unix:{}", path.display());
    let order = Order::new(&scene);
    let listens_at = |addresses: &[&str], version: &str| {
        let command = ["python3", &program()];
        order.write(&json!({
            "name": "web", "command": command, "workers": 2, "ready": "notify", "soak": "100ms",
            "listen": addresses, "env": {"VERSION": version},
        }));
    };
    listens_at(&["127.0.0.1:0", &unix], "1");
    let herd = order.setup(&scene).env(NO_KERNEL_DISPATCH, "").start();
    let mut desk = order.desk();
    desk.wait_for_ready(2, |_| true);
    let status = desk.status();
    assert_eq!(status["dispatch"], "kernel+shared", "{status}");
    let addresses = status["listening"].as_array().unwrap();
    let listens = |address: &str| addresses.iter().any(|it| it == address);
    assert!(addresses.len() == 2 && listens(&unix), "{status}");
    for fewer in [&["127.0.0.1:0"][..], &[&unix]] {
        listens_at(fewer, "2");
        let verdict = desk.reload();
        let reason = verdict["reason"].as_str().unwrap_or_default();
        assert!(
            reason.starts_with("listen cannot be changed by a reload"),
            "{verdict}"
        );
    }
    listens_at(&["127.0.0.1:0", &unix], "3");
    let verdict = desk.reload();
    assert_eq!(verdict["outcome"], "done", "{verdict}");
    let workers = desk.wait_for_ready(2, |it| it.generation == 2);
    let is_new = |it: &Worker| it.variable("VERSION").as_deref() == Some("3");
    assert!(workers.iter().all(is_new), "{workers:?}");
    let tcp = addresses.iter().find_map(|it| it.as_str()?.parse().ok());
    for target in [Target::Tcp(tcp.unwrap()), Target::Unix(path)] {
        let ledger = Load::http(target, "/").timeout(BOOT).count(20).run();
        ledger.assert_no_failure();
    }
    assert!(herd.end().success());
}

#[test]
fn without_the_right_each_listener_has_the_mode_that_is_left() {
    let scene = Scene::new("beside_without");
    for kind in ALL {
        let path = scene.directory().join(format!("{kind:?}.sock"));
        let herd = kind
            .setup(&scene, &path, &[])
            .env(NO_KERNEL_DISPATCH, "1")
            .start();
        wait_for(&herd, 0, 3, "ready", BOOT);
        let expected = format!("dispatch: {} (kernel is switched off", kind.beside());
        herd.wait_for_line("the mode", BOOT, |line| {
            line.contains(&expected).then_some(())
        });
        for target in [Target::Tcp(address(&herd)), Target::Unix(path)] {
            let load = Load::http(target, "/").timeout(BOOT).count(20);
            load.run().assert_no_failure();
        }
        assert!(herd.end().success());
    }
}
