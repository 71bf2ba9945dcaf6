//! Who gets the next connection, and that nothing stays with the master.

use herder_e2e::baseline::Baseline;
use herder_e2e::binary::Binary;
use herder_e2e::client::{Load, get};
use herder_e2e::foreign::{BOOT, accepted_by, address, pid_of_body, wait_for};
use herder_e2e::native::{Totals, herd};
use herder_e2e::process::resident_bytes;
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use rustix::process::Signal;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};

/// The worker of `Request handled by worker-P`.
fn handled_by(body: &[u8]) -> Option<i32> {
    let text = std::str::from_utf8(body).ok()?;
    text.strip_prefix("Request handled by worker-")?
        .parse()
        .ok()
}

/// How many of 400 connections, one after the other, each of four idle workers got, and what the master did.
fn spread_of_400() -> (Vec<usize>, Totals) {
    let scene = Scene::new("spread");
    let options = ["--listen", "127.0.0.1:0", "--workers", "4"];
    let herd = scene.herd(Binary::NET_CLUSTER).args(options).start();
    let address = address(&herd);
    wait_for(&herd, 0, 4, "ready", BOOT);
    let ledger = Load::plain(address, b"")
        .count(400)
        .worker_from(handled_by)
        .run();
    ledger.assert_no_failure();
    herd.signal(Signal::TERM);
    assert!(herd.wait_for_exit(BOOT).success());
    (
        ledger.per_worker().into_values().collect(),
        Totals::of(&herd),
    )
}

#[test]
fn timed_four_idle_workers_get_a_hundred_of_400_connections_each() {
    const TRIES: usize = 5;
    let mut explained = 0;
    for _ in 0..TRIES {
        let (spread, totals) = spread_of_400();
        println!("{spread:?} {totals:?}");
        assert_eq!(totals.accepted, 400);
        // A worker that the machine did not run for 10 ms loses its turn to another: rightly so.
        if totals.taken_back == 0 {
            assert_eq!(spread, [100; 4]);
            return;
        }
        let moved: usize = spread.iter().map(|count| count.saturating_sub(100)).sum();
        explained += usize::from(moved as u64 <= totals.taken_back);
    }
    assert!(
        explained > 0,
        "more was moved than taken back, {TRIES} times"
    );
}

#[test]
fn least_connections_spares_the_one_that_is_busy() {
    let scene = Scene::new("least");
    let options = ["--workers", "2", "--policy", "least-connections"];
    let herd = herd(&scene, &options).start();
    let address = address(&herd);
    let workers = wait_for(&herd, 0, 2, "ready", BOOT);
    // Each of them waits where it is; the two workers share them.
    let slow = Load::http(address, "/slow/60000")
        .clients(8)
        .count(8)
        .timeout(BOOT * 10)
        .start();
    let held = |place: usize| accepted_by(workers[place].pid).len();
    wait::until(BOOT, "both hold some of the eight", || {
        (held(0) > 0 && held(1) > 0 && held(0) + held(1) == 8).then_some(())
    });
    // A third worker has none, and so gets what comes, as soon as the others have told what they have.
    let mark = herd.mark();
    herd.signal(Signal::TTIN);
    let third = wait_for(&herd, mark, 1, "ready", BOOT)[0];
    wait::until(BOOT, "the idle one serves alone", || {
        let ledger = Load::http(address, "/")
            .count(20)
            .worker_from(pid_of_body)
            .run();
        ledger.assert_no_failure();
        (ledger.per_worker() == BTreeMap::from([(third.pid, 20)])).then_some(())
    });
    herd.signal(Signal::TERM);
    herd.signal(Signal::INT);
    herd.wait_for_exit(BOOT);
    drop(slow);
}

/// Which worker serves a client with this address.
fn server_of(client: Ipv4Addr, address: SocketAddr) -> io::Result<Option<i32>> {
    let made = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&made, &SocketAddrV4::new(client, 0))?;
    connect(&made, &address)?;
    let mut stream = TcpStream::from(made);
    stream.set_read_timeout(Some(BOOT))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body);
    Ok(body.and_then(|body| pid_of_body(body.as_bytes())))
}

/// Who served each of 40 clients: twice by the first workers, then after the death of one of them;
/// who died, who came instead, and what the master did.
fn served_with_ip_hash() -> ([Vec<i32>; 3], [i32; 2], Totals) {
    let scene = Scene::new("sticky");
    let options = ["--workers", "4", "--policy", "ip-hash"];
    let herd = herd(&scene, &options).start();
    let address = address(&herd);
    let workers = wait_for(&herd, 0, 4, "ready", BOOT);
    // All of 127.0.0.0/8 is this machine.
    let clients: Vec<Ipv4Addr> = (1..=40).map(|n| Ipv4Addr::new(127, 0, 7, n)).collect();
    let servers = || -> Vec<i32> {
        let server = |client: &Ipv4Addr| server_of(*client, address).expect("it is served");
        let named = |pid: Option<i32>| pid.expect("a worker tells its name");
        clients.iter().map(server).map(named).collect()
    };
    let (first, again) = (servers(), servers());
    let dead = workers[0].pid;
    let mark = herd.mark();
    herd.signal_to(dead, Signal::KILL);
    let heir = wait_for(&herd, mark, 1, "ready", BOOT)[0].pid;
    let afterwards = servers();
    herd.signal(Signal::TERM);
    assert!(herd.wait_for_exit(BOOT).success());
    let totals = Totals::of(&herd);
    ([first, again, afterwards], [dead, heir], totals)
}

#[test]
fn ip_hash_keeps_a_client_at_its_slot_also_when_the_worker_is_replaced() {
    const TRIES: usize = 5;
    for _ in 0..TRIES {
        let ([first, again, afterwards], [dead, heir], totals) = served_with_ip_hash();
        // A worker that the machine did not run in time loses its turn to another: rightly so.
        if totals.taken_back > 0 {
            println!("{totals:?}");
            continue;
        }
        assert_eq!(again, first);
        assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 4);
        let inherited = |pid: &i32| if *pid == dead { heir } else { *pid };
        assert_eq!(afterwards, first.iter().map(inherited).collect::<Vec<_>>());
        return;
    }
    panic!("some worker was not run in time, {TRIES} times");
}

#[test]
fn r25_a_served_connection_leaves_nothing_with_the_master() {
    let scene = Scene::new("leak");
    let herd = herd(&scene, &["--workers", "2"]).start();
    let address = address(&herd);
    wait_for(&herd, 0, 2, "ready", BOOT);
    get(address, "/").unwrap();
    let master = herd.master().unwrap().pid;
    let workers: Vec<i32> = herd.workers().iter().map(|worker| worker.pid).collect();
    let look = || {
        let all = workers
            .iter()
            .chain([&master, &herd.pid()])
            .copied()
            .collect::<Vec<_>>();
        all.into_iter()
            .fold(Baseline::of(&scene), Baseline::with_descriptors_of)
    };
    let before = look();
    let memory = resident_bytes(master).unwrap();
    let load = Load::http(address, "/").clients(8).count(2000);
    load.run().assert_no_failure();
    let mut left = Vec::new();
    let same = wait::attempt(BOOT, || {
        left = before.difference(&look());
        left.is_empty().then_some(())
    });
    assert!(same.is_some(), "{left:?}");
    let grown = resident_bytes(master).unwrap().saturating_sub(memory);
    assert!(grown < 2 << 20, "the master has grown by {grown} bytes");
    assert!(herd.end().success());
}

#[test]
fn four_idle_workers_are_small() {
    const LIMIT: u64 = 8_000_000;
    let Some(program) = release_build() else {
        println!("skipped: there is no release build of net-cluster");
        return;
    };
    let scene = Scene::new("memory");
    let options = ["--listen", "127.0.0.1:0", "--workers", "4"];
    let herd = scene.program(program).args(options).start();
    let address = address(&herd);
    wait_for(&herd, 0, 4, "ready", BOOT);
    Load::plain(address, b"")
        .count(40)
        .run()
        .assert_no_failure();
    let all = herd.descendants();
    assert_eq!(all.len(), 6, "keeper, master, four workers: {all:?}");
    let sizes: BTreeSet<(u64, String)> = all
        .into_iter()
        .map(|process| (resident_bytes(process.pid).unwrap(), process.title))
        .collect();
    println!("{sizes:?}");
    let (largest, title) = sizes.last().unwrap();
    assert!(*largest < LIMIT, "{title} has {largest} bytes");
    assert!(herd.end().success());
}

/// `net-cluster` as it is shipped. A debug build of it says nothing about its size.
fn release_build() -> Option<std::path::PathBuf> {
    let debug = Binary::NET_CLUSTER.path();
    let release = debug.parent()?.parent()?.join("release/net-cluster");
    release.is_file().then_some(release)
}
