//! What clients and the master see while a herd stops.

use herder_e2e::foreign::{BOOT, address, run, wait_for};
use herder_e2e::herd::Herd;
use herder_e2e::native;
use herder_e2e::process::processor_time;
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use rustix::process::Signal;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const QUICKLY: Duration = Duration::from_secs(5);

/// A program that closes its listener when it is told to leave, and leaves when there is a file `leave`.
fn lingering(closing: &str) -> [String; 3] {
    let code = format!(
        "import os, signal, socket, time\n\
         listener = socket.socket(fileno=3)\n\
         signal.signal(signal.SIGTERM, lambda *_: None)\n\
         print('up', flush=True)\n\
         signal.pause()\n\
         {closing}\n\
         print('closed', flush=True)\n\
         while not os.path.exists('leave'): time.sleep(0.01)\n"
    );
    ["python3".to_owned(), "-c".to_owned(), code]
}

fn start(scene: &Scene, closing: &str) -> Herd {
    let program = lingering(closing);
    let program: Vec<&str> = program.iter().map(String::as_str).collect();
    let options = ["-l", "127.0.0.1:0", "-i", "2", "--ready-after", "100ms"];
    let herd = run(scene, &options, &program)
        .directory(scene.directory())
        .start();
    wait_for(&herd, 0, 2, "ready", BOOT);
    said(&herd, "up");
    herd
}

/// Waits until both workers have said so.
fn said(herd: &Herd, what: &str) {
    let mut times = 0;
    herd.wait_for_line(what, BOOT, |line| {
        times += usize::from(line.ends_with(what));
        (times == 2).then_some(())
    });
}

#[test]
fn r13_who_comes_when_all_workers_have_closed_is_refused_and_does_not_hang() {
    let scene = Scene::new("refused");
    let herd = start(&scene, "listener.close()");
    let address = address(&herd);
    herd.signal(Signal::TERM);
    said(&herd, "closed");
    wait::until(QUICKLY, "the port is closed", || {
        let error = TcpStream::connect(address).err()?;
        (error.kind() == ErrorKind::ConnectionRefused).then_some(())
    });
    std::fs::write(scene.directory().join("leave"), "").unwrap();
    assert_eq!(herd.wait_for_exit(BOOT).code(), Some(0));
    std::fs::remove_file(scene.directory().join("leave")).unwrap();
}

#[test]
fn r25_timed_a_listener_that_is_shut_down_at_the_end_does_not_keep_the_master_busy() {
    let scene = Scene::new("shut");
    let shut = "try: listener.shutdown(socket.SHUT_RDWR)\nexcept OSError: pass";
    let herd = start(&scene, shut);
    let master = herd.master().expect("a master").pid;
    herd.signal(Signal::TERM);
    said(&herd, "closed");
    let before = processor_time(master);
    // Nothing happens now; the time itself is what is measured.
    assert!(wait::attempt(Duration::from_secs(1), || None::<()>).is_none());
    let spent = processor_time(master) - before;
    assert!(spent < Duration::from_millis(300), "{spent:?}");
    std::fs::write(scene.directory().join("leave"), "").unwrap();
    assert_eq!(herd.wait_for_exit(BOOT).code(), Some(0));
    std::fs::remove_file(scene.directory().join("leave")).unwrap();
}

#[test]
fn r53_workers_of_another_user_reach_their_notify_socket() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can start workers of another user");
        return;
    }
    let scene = Scene::new("visitor");
    let script = "umask 077; XDG_RUNTIME_DIR=$PWD; export XDG_RUNTIME_DIR; exec \"$@\"";
    let say = "import os, signal, socket\n\
         s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
         s.sendto(b'READY=1', os.environ['NOTIFY_SOCKET'])\n\
         signal.pause()\n";
    let herd = scene
        .program("sh")
        .args(["-c", script, "sh"])
        .arg(herder_e2e::binary::Binary::HERDER.path())
        .args(["run", "-i", "1", "--user", "nobody", "--cwd", "/"])
        .args(["--ready", "notify", "--boot-timeout", "10s", "--"])
        .args(["/usr/bin/python3", "-c", say])
        .directory(scene.directory())
        .start();
    wait_for(&herd, 0, 1, "ready", BOOT);
    assert_eq!(herd.end().code(), Some(0));
}

/// Asks for `path` and returns what came; nothing when it was refused or cut off.
fn ask(address: SocketAddr, path: &str) -> Vec<u8> {
    let mut answer = Vec::new();
    let asked = TcpStream::connect(address).and_then(|mut stream| {
        stream.set_read_timeout(Some(BOOT))?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\n\r\n").as_bytes())?;
        stream.read_to_end(&mut answer)
    });
    match asked {
        Ok(_) => answer,
        Err(_) => Vec::new(),
    }
}

fn addresses(herd: &Herd, count: usize) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    herd.wait_for_line("the addresses", BOOT, |line| {
        found.extend(
            line.split_once("listening on ")
                .and_then(|(_, it)| it.parse::<SocketAddr>().ok()),
        );
        (found.len() == count).then_some(())
    });
    found
}

#[test]
fn a_flood_at_one_address_leaves_the_other_its_share() {
    let scene = Scene::new("two_doors");
    let doors = [
        "--listen",
        "127.0.0.1:0",
        "--listen",
        "127.0.0.1:0",
        "--blocking",
    ];
    let herd = native::herd(&scene, &doors).start();
    let doors = addresses(&herd, 2);
    wait_for(&herd, 0, 2, "ready", BOOT);
    // Either may be the one that a master prefers.
    for (flooded, other) in [(doors[0], doors[1]), (doors[1], doors[0])] {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..60 {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        ask(flooded, "/block/5");
                    }
                });
            }
            wait::until(QUICKLY, "the flood is on", || {
                (!ask(flooded, "/").is_empty()).then_some(())
            });
            let begun = Instant::now();
            let answer = ask(other, "/");
            over.store(true, Ordering::Relaxed);
            assert!(!answer.is_empty());
            assert!(begun.elapsed() < QUICKLY, "{:?}", begun.elapsed());
        });
    }
    assert_eq!(herd.end().code(), Some(0));
}

#[test]
fn r13_who_had_connected_before_the_stop_is_served() {
    let scene = Scene::new("last_call");
    let herd = native::herd(&scene, &["--blocking", "--workers", "2"]).start();
    let address = addresses(&herd, 1)[0];
    wait_for(&herd, 0, 2, "ready", BOOT);
    let connected = Barrier::new(61);
    let served = thread::scope(|scope| {
        let clients: Vec<_> = (0..60)
            .map(|_| {
                scope.spawn(|| {
                    let mut stream = TcpStream::connect(address).unwrap();
                    stream.write_all(b"GET /block/40 HTTP/1.1\r\n\r\n").unwrap();
                    connected.wait();
                    let mut answer = Vec::new();
                    stream.read_to_end(&mut answer).map_or(0, |_| answer.len())
                })
            })
            .collect();
        connected.wait();
        herd.signal(Signal::TERM);
        let answers = clients.into_iter().map(|client| client.join().unwrap());
        answers.filter(|length| *length > 0).count()
    });
    assert_eq!(herd.wait_for_exit(BOOT).code(), Some(0));
    assert_eq!(served, 60);
}
