//! Programs that know nothing but `PORT`, behind a gateway that forwards each request.

use herder_e2e::binary::Binary;
use herder_e2e::client::Load;
use herder_e2e::foreign::{BOOT, Seat, pid_of_body, run, told, wait_for};
use herder_e2e::herd::Signal;
use herder_e2e::process;
use herder_e2e::proxy::{
    JAVA, NODE, PHP, PYTHON, RELOAD, Three, WORKERS, examples, served_by, wait_for_end_of,
};
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use std::fs;

/// All three serve, and each as many of one client's requests as any other.
fn is_even(three: &Three) {
    let ledger = three.load().clients(1).keep_alive().count(999).run();
    ledger.assert_no_failure();
    let each = ledger.per_worker();
    assert_eq!(each.len(), WORKERS, "{ledger}");
    assert!(each.values().all(|count| *count == 333), "{each:?}");
}

#[test]
fn one_clients_requests_are_spread_evenly_over_python_programs() {
    let scene = Scene::new("proxy_python");
    let three = Three::new(&scene, &[], &PYTHON);
    assert_eq!(three.pids().len(), WORKERS);
    is_even(&three);
    assert!(three.herd.end().success());
}

#[test]
fn one_clients_requests_are_spread_evenly_over_node_programs() {
    let scene = Scene::new("proxy_node");
    let three = Three::new(&scene, &[], &NODE);
    is_even(&three);
    assert!(three.herd.end().success());
}

#[test]
fn one_clients_requests_are_spread_evenly_over_java_programs() {
    let scene = Scene::new("proxy_java");
    let three = Three::new(&scene, &[], &JAVA);
    is_even(&three);
    assert!(three.herd.end().success());
}

#[test]
fn one_clients_requests_are_spread_evenly_over_php_programs() {
    let scene = Scene::new("proxy_php");
    let three = Three::new(&scene, &[], &PHP);
    is_even(&three);
    assert!(three.herd.end().success());
}

#[test]
fn a_script_is_run_by_what_its_name_says() {
    let scene = Scene::new("proxy_script");
    let options = [
        "run",
        "-l",
        "127.0.0.1:0",
        "-i",
        "3",
        "--dispatch",
        "proxy",
        "server.py",
    ];
    let herd = scene.herd(Binary::HERDER).args(options);
    let three = Three::of(herd.directory(examples()).start());
    is_even(&three);
    assert!(three.herd.end().success());
}

#[test]
fn workers_listen_on_unix_sockets_of_the_herd() {
    let scene = Scene::new("proxy_unix");
    let file = scene.directory().join("herder.toml");
    let script = examples().join("server.js");
    let text = format!(
        "[apps.web]\ncommand = [\"node\", {script:?}]\nlisten = \"127.0.0.1:0\"\nworkers = 3\n\
         dispatch = \"proxy\"\n[apps.web.proxy]\nvia = \"unix\"\n"
    );
    fs::write(&file, text).unwrap();
    let herd = scene.herd(Binary::HERDER).arg("run").arg(&file).start();
    let three = Three::of(herd);
    is_even(&three);
    assert!(three.herd.end().success());
}

/// A library in Node, and a server at a path whose every answer is the library's.
const CORE: &str = "
exports.kv = { who() { return `library:${process.pid} epoch:${process.env.HERDER_EPOCH}`; } };
";
const ASKING: &str = "
const herder = require('SDK');
const server = require('node:http').createServer(async (request, response) => {
  try {
    const { kv } = await herder.agent();
    response.end(`pid:${process.pid} ${await kv.who()}\\n`);
  } catch (error) {
    response.statusCode = 500;
    response.end(`${error.message}\\n`);
  }
});
server.listen(process.env.HERDER_UNIX);
";

#[test]
fn workers_on_unix_sockets_call_the_library_that_shares_their_directory() {
    let scene = Scene::new("proxy_unix_library");
    let at = |name: &str| scene.directory().join(name);
    let sdk = concat!(env!("CARGO_MANIFEST_DIR"), "/../sdk/node");
    fs::write(at("core.js"), CORE).unwrap();
    fs::write(at("app.js"), ASKING.replace("SDK", sdk)).unwrap();
    let text = format!(
        "[apps.web]\ncommand = [\"node\", {:?}]\nlisten = \"127.0.0.1:0\"\nworkers = 3\ngrace = \"10s\"\n\
         dispatch = \"proxy\"\nlibraries = {{ core = {:?} }}\n[apps.web.proxy]\nvia = \"unix\"\n",
        at("app.js"),
        at("core.js")
    );
    fs::write(at("herder.toml"), text).unwrap();
    let setup = scene.herd(Binary::HERDER).arg("run");
    let three = Three::of(setup.arg(at("herder.toml")).start());
    let libraries = herder_e2e::library::wait_for(&three.herd, 0, 1, "ready", BOOT);
    let first = libraries[0].pid;
    let load = |library: i32, epoch: u32| {
        let expected = format!(" library:{library} epoch:{epoch}\n");
        let is_expected = move |body: &[u8]| body.ends_with(expected.as_bytes());
        let served = move |body: &[u8]| pid_of_body(body).filter(|_| is_expected(body));
        Load::http(three.address, "/")
            .timeout(BOOT)
            .worker_from(served)
    };
    let all_ask = |library: i32, epoch: u32| {
        let ledger = load(library, epoch).count(30).run();
        ledger.assert_no_failure();
        assert_eq!(ledger.per_worker().len(), WORKERS, "{ledger}");
    };
    all_ask(first, 1);

    // Whoever has to start meanwhile finds its place in the directory, too.
    let mark = three.herd.mark();
    three.herd.signal_to(three.gateway(), Signal::KILL);
    three.herd.signal_to(three.workers[0].pid, Signal::KILL);
    wait_for(&three.herd, mark, 1, "ready", BOOT);
    three.herd.signal_to(first, Signal::KILL);
    let second = herder_e2e::library::wait_for(&three.herd, mark, 1, "ready", BOOT);
    let second = second[0].pid;
    wait::until(BOOT, "the next life answers", || {
        let ledger = load(second, 2).count(6).run();
        (ledger.complete() == 6).then_some(())
    });
    all_ask(second, 2);
    assert!(three.herd.end().success());
}

#[test]
fn a_gateway_for_tcp_chooses_a_worker_for_each_connection() {
    let scene = Scene::new("proxy_tcp");
    let file = scene.directory().join("herder.toml");
    let script = examples().join("server.py");
    let text = format!(
        "[apps.web]\ncommand = [\"python3\", {script:?}]\nlisten = \"127.0.0.1:0\"\nworkers = 3\n\
         dispatch = \"proxy\"\n[apps.web.proxy]\nkind = \"tcp\"\n"
    );
    fs::write(&file, text).unwrap();
    let herd = scene.herd(Binary::HERDER).arg("run").arg(&file).start();
    let three = Three::of(herd);
    let ledger = three.load().clients(1).count(30).run();
    ledger.assert_no_failure();
    let each = ledger.per_worker();
    assert!(each.values().all(|count| *count == 10), "{each:?}");
    let kept = three.load().clients(1).keep_alive().count(30).run();
    kept.assert_no_failure();
    assert_eq!(kept.per_worker().len(), 1, "{kept}");
    assert!(three.herd.end().success());
}

#[test]
fn the_gateway_has_no_rights_that_it_does_not_need() {
    let scene = Scene::new("proxy_rights");
    let three = Three::new(&scene, &[], &PYTHON);
    let gateway = three.gateway();
    let status = fs::read_to_string(format!("/proc/{gateway}/status")).unwrap();
    let uid = status
        .lines()
        .find(|line| line.starts_with("Uid:"))
        .unwrap();
    let own = fs::read_to_string("/proc/self/status").unwrap();
    if own.contains("Uid:\t0\t") {
        assert!(uid.contains("65534"), "{uid}");
    }
    let environment = fs::read(format!("/proc/{gateway}/environ")).unwrap();
    let names = environment
        .split(|byte| *byte == 0)
        .filter(|it| !it.is_empty());
    for name in names {
        let name = String::from_utf8_lossy(name);
        assert!(name.starts_with("HERDER_"), "{name}");
    }
    assert!(three.herd.end().success());
}

#[test]
fn r01_a_worker_that_is_killed_is_replaced_and_its_clients_are_served() {
    let scene = Scene::new("proxy_kill");
    let three = Three::new(&scene, &[], &PYTHON);
    let load = three.load().clients(4).keep_alive().start();
    load.wait_for_answers(50, BOOT);
    let (killed, mark) = (three.workers[1].pid, three.herd.mark());
    three.herd.signal_to(killed, Signal::KILL);
    let successor = wait_for(&three.herd, mark, 1, "ready", BOOT)[0].pid;
    load.wait_for_answers(50, BOOT);
    wait::until(BOOT, "its successor serves", || {
        let ledger = three.load().count(9).run();
        served_by(&ledger).contains(&successor).then_some(())
    });
    // Requests that only read may be done twice.
    load.stop_and_finish().assert_no_failure();
    assert!(three.herd.end().success());
}

#[test]
fn r26_the_death_of_the_master_is_noticed_by_no_client() {
    let scene = Scene::new("proxy_master");
    let three = Three::new(&scene, &[], &PYTHON);
    let gateway = three.gateway();
    let load = three.load().clients(4).keep_alive().start();
    load.wait_for_answers(50, BOOT);
    let (master, mark) = (three.herd.master().unwrap().pid, three.herd.mark());
    three.herd.signal_to(master, Signal::KILL);
    three
        .herd
        .wait_for_line_after(mark, "another master", BOOT, |line| {
            line.contains("took over").then_some(())
        });
    load.wait_for_answers(50, BOOT);
    load.stop_and_finish().assert_no_failure();
    assert_eq!(three.gateway(), gateway);
    is_even(&three);
    let ledger = three.load().count(9).run();
    assert_eq!(served_by(&ledger), three.pids());
    assert!(three.herd.end().success());
}

#[test]
fn r31_an_upgrade_is_noticed_by_no_client() {
    let scene = Scene::new("proxy_upgrade");
    let three = Three::new(&scene, &[], &PYTHON);
    let gateway = three.gateway();
    let load = three.load().clients(4).keep_alive().start();
    load.wait_for_answers(50, BOOT);
    let mark = three.herd.mark();
    let master = three.herd.master().unwrap().pid;
    three.herd.signal_to(master, Signal::USR2);
    three
        .herd
        .wait_for_line_after(mark, "the upgrade", BOOT * 2, |line| {
            line.contains("the master goes on as").then_some(())
        });
    load.wait_for_answers(50, BOOT);
    load.stop_and_finish().assert_no_failure();
    assert_eq!(three.gateway(), gateway);
    assert_eq!(served_by(&three.load().count(9).run()), three.pids());
    assert!(three.herd.end().success());
}

#[test]
fn r26_who_connects_while_there_is_no_gateway_waits_for_the_next() {
    let scene = Scene::new("proxy_gateway");
    let three = Three::new(&scene, &[], &PYTHON);
    let (gateway, mark) = (three.gateway(), three.herd.mark());
    three.herd.signal_to(gateway, Signal::KILL);
    // Each of these connections is a new one.
    let ledger = three.load().clients(3).count(60).run();
    let refused = ledger
        .failures()
        .filter(|failed| format!("{:?}", failed.outcome).contains("Refused"));
    assert_eq!(refused.count(), 0, "{ledger}");
    three
        .herd
        .wait_for_line_after(mark, "its death is told", BOOT, |line| {
            (line.contains("gateway") && line.contains("died")).then_some(())
        });
    assert_ne!(three.gateway(), gateway);
    is_even(&three);
    let after = three.load().count(9).run();
    assert_eq!(served_by(&after), three.pids(), "the workers live on");
    assert!(three.herd.end().success());
}

#[test]
fn who_has_a_request_when_the_herd_stops_gets_its_answer() {
    let scene = Scene::new("proxy_stop");
    let three = Three::new(&scene, &[], &NODE);
    let slow = Load::http(three.address, "/slow/1500").timeout(BOOT);
    let slow = slow.clients(3).count(3).start();
    wait::until(BOOT, "the requests are with workers", || {
        let busy = |seat: &Seat| {
            let open = process::descriptors(seat.pid).unwrap_or_default();
            open.values().filter(|it| it.starts_with("socket:")).count() >= 2
        };
        three.workers.iter().all(busy).then_some(())
    });
    three.herd.signal(Signal::TERM);
    slow.finish().assert_no_failure();
    assert!(three.herd.wait_for_exit(BOOT).success());
}

#[test]
fn a_worker_leaves_after_so_many_requests() {
    let scene = Scene::new("proxy_recycling");
    let three = Three::new(&scene, &["--max-requests", "50"], &NODE);
    let (mark, before) = (three.herd.mark(), three.pids());
    let load = three.load().clients(2).keep_alive().start();
    let replaced = || {
        let lines = three.herd.lines_after(mark);
        let ready = lines.iter().filter_map(|line| told(&line.text, "ready"));
        (ready.count() >= WORKERS).then_some(())
    };
    wait::until(RELOAD, "three were replaced", replaced);
    load.stop_and_finish().assert_no_failure();
    wait_for_end_of(&before);
    assert!(three.herd.end().success());
}

#[test]
fn the_herd_grows_and_shrinks() {
    let scene = Scene::new("proxy_scale");
    let three = Three::new(&scene, &[], &NODE);
    let load = three.load().clients(2).keep_alive().start();
    let mark = three.herd.mark();
    three.herd.signal(Signal::TTIN);
    let fourth = wait_for(&three.herd, mark, 1, "ready", BOOT)[0].pid;
    let serving = |wanted: usize| {
        let ledger = three.load().count(24).run();
        ledger.assert_no_failure();
        (served_by(&ledger).len() == wanted).then(|| served_by(&ledger))
    };
    let four = wait::until(BOOT, "four serve", || serving(4));
    assert!(four.contains(&fourth));
    three.herd.signal(Signal::TTOU);
    wait::until(BOOT, "three serve", || serving(3));
    load.stop_and_finish().assert_no_failure();
    assert!(three.herd.end().success());
}

/// A server that does not set `SO_REUSEADDR`, and so cannot share its port with who keeps it for it.
const SELFISH: &str = r#"
import os, socket
listener = socket.socket()
listener.bind(("127.0.0.1", int(os.environ["PORT"])))
listener.listen(64)
body = f"pid:{os.getpid()} worker:{os.environ['HERDER_SLOT']}\n"
answer = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()
while True:
    client, _ = listener.accept()
    client.recv(65536)
    client.sendall(answer)
    client.close()
"#;

#[test]
fn a_program_that_cannot_share_its_port_gets_another_one() {
    let scene = Scene::new("proxy_selfish");
    let script = scene.directory().join("selfish.py");
    fs::write(&script, SELFISH).unwrap();
    let three = Three::new(&scene, &[], &["python3", script.to_str().unwrap()]);
    let ledger = three.load().count(30).run();
    ledger.assert_no_failure();
    assert_eq!(served_by(&ledger), three.pids());
    assert!(three.herd.end().success());
}

#[test]
fn of_a_program_that_listens_nowhere_it_is_told_where_it_should() {
    let scene = Scene::new("proxy_nowhere");
    let options = "-l 127.0.0.1:0 -i 1 --dispatch proxy --boot-timeout 500ms";
    let options: Vec<&str> = options.split(' ').collect();
    let herd = run(&scene, &options, &["sleep", "1000"]).start();
    herd.wait_for_line("what it lacks", BOOT, |line| {
        let (_, place) = line.split_once("and is killed: it does not listen at 127.0.0.1:")?;
        place.ends_with(", its PORT").then_some(())
    });
    herd.end();
}

/// Why `herder run` refuses these options, and with which status.
fn refusal(scene: &Scene, options: &[&str]) -> String {
    let setup = scene.herd(Binary::HERDER).arg("run").args(options);
    let herd = setup.directory(examples()).start();
    assert_eq!(herd.wait_for_exit(BOOT).code(), Some(2));
    let lines = herd.lines();
    lines.iter().map(|line| line.text.clone()).collect()
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let scene = Scene::new("proxy_refused");
    for (options, said) in [
        (&["--dispatch", "proxy", "server.py"][..], "--listen"),
        (
            &[
                "-l",
                "0",
                "--dispatch",
                "proxy",
                "--wait-ready",
                "server.js",
            ],
            "--wait-ready",
        ),
        (
            &[
                "-l",
                "0",
                "--dispatch",
                "proxy",
                "--policy",
                "least-loaded",
                "server.js",
            ],
            "least-loaded",
        ),
        (
            &[
                "-l",
                "0",
                "--dispatch",
                "proxy",
                "--hang",
                "3s",
                "server.js",
            ],
            "--hang",
        ),
    ] {
        let text = refusal(&scene, options);
        assert!(text.contains(said), "{options:?}: {text}");
    }
}
