//! Settings of a proxy that change while it serves, and masters that die while workers behind one start.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use herder_e2e::binary::Binary;
use herder_e2e::client::Load;
use herder_e2e::foreign::{BOOT, address, pid_of_body, run, wait_for};
use herder_e2e::herd::{Herd, NO_KERNEL_DISPATCH, Signal};
use herder_e2e::proxy::{RELOAD, examples, gateways, reload, wait_for_entry};
use herder_e2e::scene::Scene;
use herder_e2e::wait;

/// Three workers behind a gateway, with these settings of it.
fn write(file: &Path, proxy: &str) {
    let script = examples().join("server.js");
    let text = format!(
        "[apps.shop]\ncommand = [\"node\", {script:?}]\nlisten = \"127.0.0.1:0\"\nworkers = 3\nsoak = 0\nsurge = 3\n\
         grace = \"10s\"\ndispatch = \"proxy\"\n[apps.shop.proxy]\n{proxy}\n"
    );
    fs::write(file, text).expect("a file");
}

fn start(scene: &Scene, file: &Path) -> (Herd, SocketAddr) {
    let setup = scene.herd(Binary::HERDER).arg("run").arg(file);
    let herd = setup.env(NO_KERNEL_DISPATCH, "").start();
    wait_for(&herd, 0, 3, "ready", BOOT * 2);
    let address = address(&herd);
    wait_for_entry(address);
    (herd, address)
}

/// The whole answer to a client without a cookie.
fn answer(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).expect("somebody listens");
    stream.set_read_timeout(Some(BOOT)).expect("a socket");
    let asked = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    stream.write_all(asked).expect("it is read");
    let mut answer = String::new();
    let _reset = stream.read_to_string(&mut answer);
    answer
}

#[test]
fn r31_other_settings_take_other_gateways_and_lose_no_request() {
    let scene = Scene::new("proxy_renewal");
    let file = scene.directory().join("herder.toml");
    write(&file, "");
    let (herd, address) = start(&scene, &file);
    assert!(!answer(address).contains("Set-Cookie"));
    let before = gateways(&herd);
    assert_eq!(before.len(), 1);
    let load = Load::http(address, "/")
        .timeout(BOOT)
        .worker_from(pid_of_body);
    let load = load.clients(4).keep_alive().start();
    load.wait_for_answers(20, BOOT);
    write(&file, "cookie = \"worker\"\ngateways = 2");
    let mark = herd.mark();
    reload(&herd);
    herd.wait_for_line_after(mark, "where clients come in", RELOAD, |line| {
        line.contains("2 gateways share the listeners")
            .then_some(())
    });
    wait::until(RELOAD, "the gateways are others", || {
        let after = gateways(&herd);
        let is_new = after.iter().all(|pid| !before.contains(pid));
        (after.len() == 2 && is_new).then_some(())
    });
    load.wait_for_answers(20, BOOT);
    load.stop_and_finish().assert_no_failure();
    for _ in 0..4 {
        assert!(answer(address).contains("Set-Cookie: worker="));
    }
    // What did not change is left as it is.
    let now = gateways(&herd);
    reload(&herd);
    assert_eq!(gateways(&herd), now);
    assert!(herd.end().success());
}

#[test]
fn r31_gateways_that_cannot_work_by_new_settings_leave_the_old_ones_in_service() {
    let scene = Scene::new("proxy_damaged");
    let file = scene.directory().join("herder.toml");
    write(&file, "gateways = 2");
    let (herd, address) = start(&scene, &file);
    let mut before = gateways(&herd);
    let damaged = scene.directory().join("damaged.pem");
    fs::write(&damaged, "no certificate").expect("a file");
    write(
        &file,
        &format!("gateways = 2\ncertificate = {damaged:?}\nkey = {damaged:?}"),
    );
    let mark = herd.mark();
    reload(&herd);
    herd.wait_for_line_after(mark, "why they stay", RELOAD, |line| {
        line.contains("the gateways stay as they were")
            .then_some(())
    });
    assert!(answer(address).starts_with("HTTP/1.1 200 "));
    // Who is ended by somebody is followed by one with the settings that hold.
    let killed = before.pop_first().expect("two");
    herd.signal_to(killed, Signal::KILL);
    wait::until(RELOAD, "another one is there", || {
        let after = gateways(&herd);
        (after.len() == 2 && !after.contains(&killed)).then_some(())
    });
    let ledger = Load::http(address, "/").timeout(BOOT).count(20).run();
    ledger.assert_no_failure();
    assert!(herd.end().success());
}

#[test]
fn r26_settings_that_gateways_could_not_take_up_end_with_the_master_that_tried_them() {
    let scene = Scene::new("proxy_untaken");
    let file = scene.directory().join("herder.toml");
    let trap = scene.directory().join("trap");
    write(&file, "");
    let setup = scene.herd(Binary::HERDER).arg("run").arg(&file);
    let setup = setup.env(NO_KERNEL_DISPATCH, "");
    let herd = setup.env("HERDER_FAILPOINT", format!("@{}", trap.display()));
    let herd = herd.start();
    wait_for(&herd, 0, 3, "ready", BOOT * 2);
    let address = address(&herd);
    let damaged = scene.directory().join("damaged.pem");
    fs::write(&damaged, "no certificate").expect("a file");
    write(
        &file,
        &format!("gateways = 2\ncertificate = {damaged:?}\nkey = {damaged:?}"),
    );
    // The workers are replaced, and gateways are just being.
    fs::write(&trap, "master.verdict:kill").expect("a file");
    let mark = herd.mark();
    herd.signal(Signal::HUP);
    herd.wait_for_line_after(mark, "another master", RELOAD, |line| {
        line.contains("took over").then_some(())
    });
    herd.wait_for_line_after(mark, "why they stay", RELOAD, |line| {
        line.contains("the gateways stay as they were")
            .then_some(())
    });
    assert!(answer(address).starts_with("HTTP/1.1 200 "));
    // As many as there were, and who is started from now on works as they did.
    let before = wait::until(RELOAD, "the one gateway", || {
        let found = gateways(&herd);
        (found.len() == 1).then_some(found)
    });
    for gateway in &before {
        herd.signal_to(*gateway, Signal::KILL);
    }
    wait::until(RELOAD, "another one is there", || {
        let after = gateways(&herd);
        (after.len() == 1 && after != before).then_some(())
    });
    let ledger = Load::http(address, "/").timeout(BOOT).count(20).run();
    ledger.assert_no_failure();
    assert!(herd.end().success());
}

/// Says that it is ready, waits until that was heard and something is allowed, and listens only then.
const EAGER: &str = r#"
import array, fcntl, http.server, os, socket, sys, termios, time
place = os.environ["NOTIFY_SOCKET"]
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.connect("\0" + place[1:] if place[0] == "@" else place)
notify.send(b"READY=1")
unread = array.array("i", [1])
while unread[0]:
    time.sleep(0.01)
    fcntl.ioctl(notify, termios.TIOCOUTQ, unread)
print("it was heard", flush=True)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;

#[test]
fn r26_what_a_worker_has_said_before_it_listens_outlives_the_master() {
    let scene = Scene::new("proxy_eager");
    let (script, gate) = (
        scene.directory().join("eager.py"),
        scene.directory().join("gate"),
    );
    fs::write(&script, EAGER).expect("a file");
    let options = [
        "-l",
        "127.0.0.1:0",
        "-i",
        "1",
        "--dispatch",
        "proxy",
        "--ready",
        "notify",
    ];
    let texts = [&script, &gate].map(|path| path.to_str().expect("text").to_owned());
    let program = ["python3", &texts[0], &texts[1]];
    let herd = run(&scene, &options, &program).start();
    herd.wait_for_line("the word", BOOT, |line| {
        line.contains("it was heard").then_some(())
    });
    let (master, mark) = (herd.master().expect("a master").pid, herd.mark());
    herd.signal_to(master, Signal::KILL);
    herd.wait_for_line_after(mark, "another master", BOOT, |line| {
        line.contains("took over").then_some(())
    });
    fs::write(&gate, "").expect("a file");
    wait_for(&herd, mark, 1, "ready", BOOT);
    let ledger = Load::http(address(&herd), "/").timeout(BOOT).count(3).run();
    ledger.assert_no_failure();
    assert!(herd.end().success());
}
