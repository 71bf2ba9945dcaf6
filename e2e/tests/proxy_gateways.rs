//! Several gateways of one app, each with clients of its own, over the same workers.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use herder_e2e::binary::Binary;
use herder_e2e::client::{Load, Running};
use herder_e2e::foreign::{BOOT, Seat, address, pid_of_body, run, wait_for};
use herder_e2e::herd::{Herd, NO_KERNEL_DISPATCH, Setup, Signal};
use herder_e2e::process;
use herder_e2e::proxy::{
    NODE, WORKERS, examples, gateways, reload, replace_all, served_by, wait_for_entry,
};
use herder_e2e::scene::Scene;
use herder_e2e::wait;

/// How clients are spread over the gateways.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Spread {
    /// By the kernel's program: each has a listener of its own.
    Kernel,
    /// All have the same listener.
    Shared,
}

const BOTH: [Spread; 2] = [Spread::Kernel, Spread::Shared];

impl Spread {
    fn of(self, setup: Setup) -> Setup {
        match self {
            Spread::Kernel => setup.env(NO_KERNEL_DISPATCH, ""),
            Spread::Shared => setup.env(NO_KERNEL_DISPATCH, "1"),
        }
    }
}

/// Three workers behind several gateways.
struct Site {
    herd: Herd,
    address: SocketAddr,
    workers: Vec<Seat>,
    gateways: BTreeSet<i32>,
    /// How many sockets the workers have while they have no request.
    idle: usize,
}

impl Site {
    fn of(setup: Setup, gateways: usize, spread: Spread) -> Site {
        let herd = spread.of(setup).directory(examples()).start();
        let workers = wait_for(&herd, 0, WORKERS, "ready", BOOT * 2);
        let address = address(&herd);
        let idle = sockets(&workers);
        let mut site = Site {
            herd,
            address,
            workers,
            gateways: BTreeSet::new(),
            idle,
        };
        site.gateways = site.wait_for_gateways(gateways);
        wait_for_entry(address);
        site
    }

    fn new(scene: &Scene, spread: Spread, options: &[&str]) -> Site {
        let usual = [
            "-l",
            "127.0.0.1:0",
            "-i",
            "3",
            "--dispatch",
            "proxy",
            "--grace",
            "10s",
            "--gateways",
            "2",
        ];
        let options = [&usual[..], options].concat();
        Site::of(run(scene, &options, &NODE), 2, spread)
    }

    /// All of so many that have said that they are ready, since the beginning.
    fn wait_for_gateways(&self, count: usize) -> BTreeSet<i32> {
        wait::until(BOOT, "all gateways are there", || {
            let lines = self.herd.lines_after(0);
            let ready = lines.iter().filter(|line| line.text.contains("] ready"));
            let ready: Vec<_> = ready.filter_map(|line| gateway_of(&line.text)).collect();
            let mut living = gateways(&self.herd);
            living.retain(|pid| ready.contains(pid));
            (living.len() == count).then_some(living)
        })
    }

    /// So many clients with a request that takes a while, when workers have them all.
    fn slow(&self, clients: usize) -> Running {
        // Connections that are kept for other requests are closed after a while.
        wait::until(BOOT, "workers have no connection", || {
            (sockets(&self.workers) == self.idle).then_some(())
        });
        let slow = Load::http(self.address, "/slow/3000").timeout(BOOT);
        let slow = slow
            .clients(clients)
            .count(u64::try_from(clients).expect("few"));
        let slow = slow.start();
        wait::until(BOOT, "the requests are with workers", || {
            (sockets(&self.workers) >= self.idle + clients).then_some(())
        });
        slow
    }

    fn load(&self) -> Load {
        let load = Load::http(self.address, "/").timeout(BOOT);
        load.worker_from(pid_of_body)
    }

    fn pids(&self) -> BTreeSet<i32> {
        self.workers.iter().map(|seat| seat.pid).collect()
    }

    /// Clients that have had an answer, and stay.
    fn clients(&self, count: usize) -> Vec<Client> {
        (0..count).map(|_| Client::new(self.address)).collect()
    }
}

/// How many sockets these workers have.
fn sockets(workers: &[Seat]) -> usize {
    let of = |seat: &Seat| {
        let open = process::descriptors(seat.pid).unwrap_or_default();
        open.values().filter(|it| it.starts_with("socket:")).count()
    };
    workers.iter().map(of).sum()
}

/// The process that a line speaks of: `gateway #1 [4711]`.
fn gateway_of(line: &str) -> Option<i32> {
    let (_, rest) = line.split_once("gateway #")?;
    let (_, rest) = rest.split_once('[')?;
    rest.split_once(']')?.0.parse().ok()
}

/// One that keeps its connection.
struct Client(BufReader<TcpStream>);

impl Client {
    fn new(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).expect("somebody listens");
        stream.set_read_timeout(Some(BOOT)).expect("a socket");
        let mut client = Client(BufReader::new(stream));
        assert!(client.is_answered());
        client
    }

    /// Whether a request is answered by this connection.
    fn is_answered(&mut self) -> bool {
        let asked = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        if self.0.get_mut().write_all(asked).is_err() {
            return false;
        }
        self.answer().is_some()
    }

    /// The worker that a whole answer names.
    fn answer(&mut self) -> Option<i32> {
        let (mut line, mut length) = (String::new(), 0);
        while line != "\r\n" {
            line.clear();
            if self.0.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let lower = line.to_ascii_lowercase();
            if let Some(given) = lower.strip_prefix("content-length:") {
                length = given.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).ok()?;
        pid_of_body(&body)
    }
}

/// All workers have as many requests as any other, but for so many.
fn is_even(counts: &BTreeMap<i32, usize>, most_more: usize) {
    assert_eq!(counts.len(), WORKERS, "{counts:?}");
    let (least, most) = (counts.values().min(), counts.values().max());
    let (least, most) = (least.expect("some"), most.expect("some"));
    assert!(most - least <= most_more, "{counts:?}");
}

#[test]
fn requests_are_spread_evenly_whichever_gateway_has_the_client() {
    for spread in BOTH {
        let scene = Scene::new("gateways_spread");
        let site = Site::new(&scene, spread, &[]);
        assert_eq!(site.gateways.len(), 2);
        let ledger = site.load().clients(1).keep_alive().count(999).run();
        ledger.assert_no_failure();
        let each = ledger.per_worker();
        assert!(each.values().all(|count| *count == 333), "{each:?}");
        // Each gateway's rotation is exact by itself.
        let ledger = site.load().clients(8).keep_alive().count(960).run();
        ledger.assert_no_failure();
        is_even(&ledger.per_worker(), 2);
        // Those who are not kept are another gateway's each time.
        let ledger = site.load().clients(4).count(240).run();
        ledger.assert_no_failure();
        is_even(&ledger.per_worker(), 2);
        assert!(site.herd.end().success());
    }
}

#[test]
fn r26_the_death_of_a_gateway_ends_its_clients_connections_alone() {
    for spread in BOTH {
        let scene = Scene::new("gateways_death");
        let site = Site::new(&scene, spread, &[]);
        let mut clients = site.clients(8);
        let killed = *site.gateways.first().expect("two");
        let mark = site.herd.mark();
        site.herd.signal_to(killed, Signal::KILL);
        site.herd
            .wait_for_line_after(mark, "its death is told", BOOT, |line| {
                (gateway_of(line) == Some(killed) && line.contains("died")).then_some(())
            });
        // Nobody has to wait for the next one.
        let ledger = site.load().clients(2).count(40).run();
        ledger.assert_no_failure();
        let served = clients
            .iter_mut()
            .filter_map(|it| it.is_answered().then_some(()));
        let served = served.count();
        match spread {
            Spread::Kernel => assert!((1..8).contains(&served), "each had some: {served}"),
            Spread::Shared => assert!(served <= 8),
        }
        let after = site.wait_for_gateways(2);
        assert!(!after.contains(&killed));
        assert_eq!(after.intersection(&site.gateways).count(), 1);
        let ledger = site.load().clients(4).count(48).run();
        ledger.assert_no_failure();
        assert_eq!(served_by(&ledger), site.pids(), "the workers live on");
        assert!(site.herd.end().success());
    }
}

#[test]
fn r26_the_death_of_the_master_is_noticed_by_no_client_of_any_gateway() {
    for spread in BOTH {
        let scene = Scene::new("gateways_master");
        let site = Site::new(&scene, spread, &[]);
        let mut clients = site.clients(4);
        let load = site.load().clients(4).keep_alive().start();
        load.wait_for_answers(50, BOOT);
        let (master, mark) = (site.herd.master().expect("a master").pid, site.herd.mark());
        site.herd.signal_to(master, Signal::KILL);
        site.herd
            .wait_for_line_after(mark, "another master", BOOT, |line| {
                line.contains("took over").then_some(())
            });
        load.wait_for_answers(50, BOOT);
        // The next one goes on with the listeners and with the workers.
        let ready = reload(&site.herd);
        assert!(ready.is_disjoint(&site.pids()));
        load.wait_for_answers(50, BOOT);
        load.stop_and_finish().assert_no_failure();
        assert!(clients.iter_mut().all(Client::is_answered));
        assert_eq!(gateways(&site.herd), site.gateways);
        let ledger = site.load().clients(4).count(240).run();
        ledger.assert_no_failure();
        // The workers joined at different moments of the two rotations.
        is_even(&ledger.per_worker(), 8);
        // What happens to a gateway then, happens as before.
        let killed = *site.gateways.first().expect("two");
        site.herd.signal_to(killed, Signal::KILL);
        let after = site.wait_for_gateways(2);
        assert!(!after.contains(&killed));
        let ledger = site.load().clients(4).count(48).run();
        ledger.assert_no_failure();
        assert!(site.herd.end().success());
    }
}

#[test]
fn r31_an_upgrade_is_noticed_by_no_client_of_any_gateway() {
    for spread in BOTH {
        let scene = Scene::new("gateways_upgrade");
        let site = Site::new(&scene, spread, &[]);
        let load = site.load().clients(4).keep_alive().start();
        load.wait_for_answers(50, BOOT);
        let mark = site.herd.mark();
        let master = site.herd.master().expect("a master").pid;
        site.herd.signal_to(master, Signal::USR2);
        site.herd
            .wait_for_line_after(mark, "the upgrade", BOOT * 2, |line| {
                line.contains("the master goes on as").then_some(())
            });
        load.wait_for_answers(50, BOOT);
        load.stop_and_finish().assert_no_failure();
        assert_eq!(gateways(&site.herd), site.gateways);
        let ledger = site.load().clients(4).count(48).run();
        ledger.assert_no_failure();
        assert_eq!(served_by(&ledger), site.pids());
        assert!(site.herd.end().success());
    }
}

#[test]
fn r31_reloads_under_load_lose_no_request_of_any_gateway() {
    let scene = Scene::new("gateways_reload");
    let options = ["--soak", "0", "--surge", "3"];
    let site = Site::new(&scene, Spread::Kernel, &options);
    let load = site.load().clients(6).keep_alive().start();
    let mut before = site.pids();
    for _ in 0..10 {
        load.wait_for_answers(20, BOOT);
        before = replace_all(&site.herd, &before, &site.load().clients(2));
    }
    load.stop_and_finish().assert_no_failure();
    assert_eq!(gateways(&site.herd), site.gateways);
    assert!(site.herd.end().success());
}

/// A gateway that somebody ends is followed by another one, and its clients are served to the end.
#[test]
fn a_gateway_that_is_asked_to_leave_finishes_what_its_clients_have() {
    let scene = Scene::new("gateways_leaving");
    let site = Site::new(&scene, Spread::Kernel, &[]);
    let slow = site.slow(4);
    for gateway in &site.gateways {
        site.herd.signal_to(*gateway, Signal::TERM);
    }
    slow.finish().assert_no_failure();
    let after = wait::until(BOOT, "others have taken their place", || {
        let after = site.wait_for_gateways(2);
        after.is_disjoint(&site.gateways).then_some(after)
    });
    assert_eq!(after.len(), 2);
    let ledger = site.load().clients(4).count(48).run();
    ledger.assert_no_failure();
    assert!(site.herd.end().success());
}

#[test]
fn what_workers_have_served_is_counted_over_all_gateways() {
    let scene = Scene::new("gateways_counts");
    let options = ["--max-requests", "200", "--policy", "ip-hash"];
    let site = Site::new(&scene, Spread::Kernel, &options);
    // All have the same address, so that one worker has all their requests: less than 200 of each gateway.
    let mark = site.herd.mark();
    let ledger = site.load().clients(2).keep_alive().count(300).run();
    ledger.assert_no_failure();
    let at_home = served_by(&ledger);
    let replaced = wait_for(&site.herd, mark, 1, "ready", BOOT);
    assert!(!at_home.is_empty());
    assert!(!site.pids().contains(&replaced[0].pid));
    assert!(site.herd.end().success());
}

#[test]
fn all_gateways_know_where_a_client_belongs() {
    let scene = Scene::new("gateways_sticky");
    let file = scene.directory().join("herder.toml");
    let script = examples().join("server.js");
    let text = format!(
        "[apps.shop]\ncommand = [\"node\", {script:?}]\nlisten = \"127.0.0.1:0\"\nworkers = 3\n\
         dispatch = \"proxy\"\npolicy = \"ip-hash\"\n[apps.shop.proxy]\ngateways = 3\n"
    );
    std::fs::write(&file, text).expect("a file");
    let setup = scene.herd(Binary::HERDER).arg("run").arg(&file);
    let site = Site::of(setup, 3, Spread::Kernel);
    // Each of these is another gateway's.
    let ledger = site.load().clients(1).count(12).run();
    ledger.assert_no_failure();
    assert_eq!(served_by(&ledger).len(), 1);
    assert!(site.herd.end().success());
}

#[test]
fn who_has_a_request_when_the_herd_stops_gets_its_answer_from_any_gateway() {
    for spread in BOTH {
        let scene = Scene::new("gateways_stop");
        let site = Site::new(&scene, spread, &[]);
        let slow = site.slow(6);
        site.herd.signal(Signal::TERM);
        slow.finish().assert_no_failure();
        assert!(site.herd.wait_for_exit(BOOT).success());
    }
}

#[test]
fn so_many_gateways_as_cannot_be_are_refused_by_name() {
    let scene = Scene::new("gateways_refused");
    let refused = |options: &[&str]| {
        let herd = run(&scene, options, &NODE).directory(examples()).start();
        herd.wait_for_exit(BOOT);
        herd.lines()
            .iter()
            .map(|line| line.text.clone())
            .collect::<Vec<_>>()
            .join("\n")
    };
    let said = refused(&["-l", "0", "--dispatch", "proxy", "--gateways", "65"]);
    assert!(said.contains("--gateways") && said.contains("64"), "{said}");
    let said = refused(&["-l", "0", "--dispatch", "shared", "--gateways", "2"]);
    assert!(
        said.contains("--gateways: only with --dispatch proxy"),
        "{said}"
    );
}
