//! Who a herd hears at its socket, and what clients that mean no good can do there: nothing.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use herder_api::herd::{HerdAnswer, HerdRequest, MAX_LINE};
use herder_api::problem::ProblemKind;
use herder_e2e::caller::{Caller, Ordered, PATIENCE};
use herder_e2e::herd::Signal;
use herder_e2e::process;
use herder_e2e::scene::Scene;
use std::fs::{self, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const SLEEP: [&str; 2] = ["sleep", "600"];
const STOP: HerdRequest = HerdRequest::Stop { fast: true };
const MOST: usize = 16;

/// What is heard by who connects as user 65534 and asks the herd to stop.
const STRANGER: &str = "
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
try: s.sendall(b'{\"id\":1,\"request\":{\"verb\":\"stop\",\"fast\":true}}\\n')
except BrokenPipeError: pass
heard = b''
try:
    while (more := s.recv(65536)): heard += more
except ConnectionResetError: pass
sys.stdout.buffer.write(heard)
";

fn is_root() -> bool {
    herder_sys::user::is_root()
}

/// What somebody hears until the end.
fn heard_to_the_end(mut stream: UnixStream) -> String {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut heard = Vec::new();
    match stream.read_to_end(&mut heard) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("{error}"),
        _ => String::from_utf8(heard).unwrap(),
    }
}

#[test]
fn r57_another_user_is_not_heard_even_if_it_gets_to_the_socket() {
    if !is_root() {
        return;
    }
    let scene = Scene::new("sock-stranger");
    let ordered = Ordered::command(&scene, &SLEEP, 1);
    let (herd, mut caller) = ordered.start();
    let ask = || {
        let mut python = Command::new("python3");
        python.args(["-c", STRANGER]).arg(ordered.socket());
        python.output().unwrap()
    };
    assert!(!ask().status.success(), "the directory lets nobody in");
    // As if somebody had opened everything.
    for path in [scene.directory(), ordered.socket().parent().unwrap()] {
        fs::set_permissions(path, Permissions::from_mode(0o777)).unwrap();
    }
    fs::set_permissions(ordered.socket(), Permissions::from_mode(0o777)).unwrap();
    let told = ask();
    assert!(told.status.success(), "{told:?}");
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(
        told.contains("\"forbidden\"") && told.lines().count() == 1,
        "{told}"
    );
    assert!(!told.contains("hello"), "{told}");
    assert!(matches!(
        caller.request(HerdRequest::Status),
        Ok(HerdAnswer::Status { .. })
    ));
    caller.count(STOP);
    assert!(herd.end().success());
}

/// Starts a herd that ends with a complaint, which is returned.
fn refused(ordered: &Ordered<'_>) -> String {
    let herd = ordered.setup().start();
    let status = herd.wait_for_exit(PATIENCE);
    assert_eq!(status.code(), Some(4), "it cannot listen");
    herd.texts(herder_e2e::herd::Stream::Stderr).join("\n")
}

#[test]
fn r57_a_herd_is_not_started_where_others_could_get_to_its_socket() {
    let scene = Scene::new("sock-public");
    let ordered = Ordered::command(&scene, &SLEEP, 1);
    let run = ordered.socket().parent().unwrap().to_owned();
    fs::set_permissions(&run, Permissions::from_mode(0o755)).unwrap();
    let said = refused(&ordered);
    assert!(said.contains("mode 755") && said.contains("700"), "{said}");
    assert!(!ordered.socket().exists());
}

#[test]
fn r60_what_stands_in_the_place_of_the_socket_stays() {
    let scene = Scene::new("sock-place");
    let ordered = Ordered::command(&scene, &SLEEP, 1);
    let path = ordered.socket();
    fs::write(&path, "precious").unwrap();
    let said = refused(&ordered);
    assert!(said.contains("regular file"), "{said}");
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    fs::remove_file(&path).unwrap();
    symlink(scene.directory().join("elsewhere"), &path).unwrap();
    let said = refused(&ordered);
    assert!(said.contains("symbolic link"), "{said}");
    fs::remove_file(&path).unwrap();
    let other = UnixListener::bind(&path).unwrap();
    let said = refused(&ordered);
    assert!(said.contains("another process listens there"), "{said}");
    drop(other);
    // What a dead one has left is in nobody's way.
    let (herd, mut caller) = ordered.start();
    caller.count(STOP);
    assert!(herd.end().success());
}

#[test]
fn only_so_many_are_let_in_and_a_place_becomes_free() {
    let scene = Scene::new("sock-many");
    let ordered = Ordered::command(&scene, &SLEEP, 1);
    let (herd, mut caller) = ordered.start();
    let mut all: Vec<_> = (1..MOST)
        .map(|_| Caller::connect(&ordered.socket()))
        .collect();
    let one_more = UnixStream::connect(ordered.socket()).unwrap();
    let told = heard_to_the_end(one_more);
    assert!(
        told.contains("\"busy\"") && told.lines().count() == 1,
        "{told}"
    );
    all.pop();
    // It has to be noticed that one is gone.
    caller.request(HerdRequest::Status).unwrap();
    all.push(Caller::connect(&ordered.socket()));
    for caller in &mut all {
        caller.request(HerdRequest::Status).unwrap();
    }
    caller.count(STOP);
    for caller in &mut all {
        caller.wait_for_end();
    }
    assert!(herd.end().success());
}

#[test]
fn nonsense_is_answered_and_a_line_without_end_is_the_end() {
    let scene = Scene::new("sock-nonsense");
    let ordered = Ordered::command(&scene, &SLEEP, 1);
    let (herd, mut caller) = ordered.start();
    let deep = format!("{{\"id\":5,\"request\":{}", "[".repeat(100_000));
    for (text, id) in [
        ("nonsense".as_bytes(), 0),
        (b"\xff\xfe\x00", 0),
        (br#"{"id":3,"request":{"verb":"dance"}}"#, 3),
        (br#"{"id":4,"request":{"verb":"scale"}}"#, 4),
        (deep.as_bytes(), 0),
    ] {
        caller.say(text);
        caller.say(b"\n\n");
        let problem = caller.answer(id).unwrap_err();
        assert_eq!(problem.kind, ProblemKind::Invalid, "{problem}");
        assert!(problem.message.contains("not understood"), "{problem}");
    }
    let mut endless = UnixStream::connect(ordered.socket()).unwrap();
    endless.set_write_timeout(Some(PATIENCE)).unwrap();
    let mut said = 0;
    while said <= 2 * MAX_LINE {
        match endless.write(&[b'x'; 65_536]) {
            Ok(count) => said += count,
            Err(_) => break,
        }
    }
    assert!(said <= 2 * MAX_LINE, "it was let go on");
    let told = heard_to_the_end(endless);
    assert!(told.contains("at most 1 MiB"), "{told}");
    caller.count(STOP);
    assert!(herd.end().success());
}

/// Asks for the status until nobody takes it any more, and reads nothing.
fn flood(path: &Path) -> UnixStream {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_nonblocking(true).unwrap();
    let request = br#"{"id":1,"request":{"verb":"status"}}"#;
    let lines: Vec<u8> = request.iter().chain(b"\n").copied().collect();
    let lines = lines.repeat(1000);
    let until = Instant::now() + Duration::from_secs(2);
    while Instant::now() < until {
        match stream.write(&lines) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(_) => break,
        }
    }
    stream
}

#[test]
fn r19_clients_that_flood_and_do_not_read_hold_nothing_up_and_cost_little() {
    let scene = Scene::new("sock-flood");
    let ordered = Ordered::command(&scene, &SLEEP, 2);
    let (herd, mut caller) = ordered.start();
    let before = process::resident_bytes(caller.status.master).unwrap();
    let path = ordered.socket();
    let floods: Vec<_> = (1..MOST)
        .map(|_| {
            let path = path.clone();
            std::thread::spawn(move || flood(&path))
        })
        .collect();
    // Meanwhile the herd does its work, and who reads is answered.
    let mut took = [(); 5].map(|()| {
        let begun = Instant::now();
        caller.request(HerdRequest::Status).unwrap();
        begun.elapsed()
    });
    took.sort_unstable();
    let victim = caller.workers()[0];
    caller.forget();
    herd.signal_to(victim, Signal::KILL);
    assert_eq!(caller.wait_for_event("exited")["pid"], victim);
    caller.wait_for_status("replaced", |status| {
        let worker = status.slots[0].workers.first();
        worker.is_some_and(|it| it.pid != victim && it.phase == "ready")
    });
    let streams: Vec<_> = floods.into_iter().map(|it| it.join().unwrap()).collect();
    // The machine may stand still during one or two of them.
    assert!(took[2] < Duration::from_secs(2), "{took:?}");
    let after = process::resident_bytes(caller.status.master).unwrap();
    let each = (MOST as u64) * 3 * (MAX_LINE as u64);
    assert!(after < before + each, "{before} bytes, then {after}");
    drop(streams);
    caller.count(STOP);
    assert!(herd.end().success());
}
