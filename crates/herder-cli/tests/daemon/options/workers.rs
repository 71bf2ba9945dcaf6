//! What workers find, whose they are, and how they are listened for.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use herder_api::status::{AppPhase, WorkerStatus};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use super::super::kit::{Place, attempt, mode, pids};
use super::terminate;

/// Writes down what a worker finds, where it finds itself.
const LOOKS: &str = "env > $HERDER_SLOT.new; pwd >> $HERDER_SLOT.new; mv $HERDER_SLOT.new found-$HERDER_SLOT; \
                     exec sleep 1000";

#[test]
fn workers_find_what_the_options_say() {
    let place = Place::new("o-workers");
    place.daemon();
    let cwd = place.directory("cwd");
    let options = format!(
        "--name web -i 2 --namespace shop --cwd {} --filter-env SECRET,OTHER --instance-var PLACE \
         --increment-var BASE --ready-after 30ms",
        cwd.display()
    );
    let mut starting = place.starting(&options, LOOKS);
    starting
        .env("SECRET", "1")
        .env("OTHER", "2")
        .env("BASE", "4000")
        .env("KEPT", "yes");
    let ran = super::ended(&mut starting);
    assert_eq!(ran.status, Some(0), "{ran:?}");
    for slot in 0..2 {
        let found = place.lines(&format!("cwd/found-{slot}"), 2);
        let has = |line: &str| found.iter().any(|it| it == line);
        assert!(has("HERDER_APP=web") && has("KEPT=yes"), "{found:?}");
        assert!(has(&format!("PLACE={slot}")), "{found:?}");
        assert!(has(&format!("BASE={}", 4000 + slot)), "{found:?}");
        assert!(
            has(&cwd.canonicalize().unwrap().display().to_string()),
            "{found:?}"
        );
        assert!(
            !found
                .iter()
                .any(|it| it.starts_with("SECRET=") || it.starts_with("OTHER="))
        );
    }
    assert_eq!(place.does("id shop"), "0\n");
    // What is said when it is restarted holds from then on.
    place.does("restart shop -i 1 --filter-env KEPT");
    let status = place.until("web", |it| it.ready == 1 && pids(it).len() == 1);
    let environment = fs::read(format!("/proc/{}/environ", pids(&status)[0])).unwrap();
    let environment = String::from_utf8_lossy(&environment);
    assert!(
        !environment.contains("KEPT=") && environment.contains("PATH="),
        "{environment}"
    );

    // Who ends before it counts as ready is no start.
    let brief = "sleep 0.3; exit 1";
    let slow =
        super::ended(&mut place.starting("-n slow --max-restarts 1 --ready-after 20s", brief));
    assert_eq!(slow.status, Some(3), "{slow:?}");
    place.starts("-n quick --ready-after 20ms --restart-delay 1h", brief);
    place.does("delete slow quick");
}

#[test]
fn a_program_that_knows_its_port_is_put_behind_so_many_gateways() {
    let place = Place::new("o-proxy");
    place.daemon();
    let serves = "exec python3 -m http.server --bind 127.0.0.1 $PORT";
    let options = "-n web -i 2 --listen 127.0.0.1:0 --dispatch proxy --policy two-choices";
    place.starts(&format!("{options} --gateways 2"), serves);
    let herd = place.app("web").herd.expect("it runs");
    assert_eq!(herd.dispatch, "proxy");
    let gateways = |it: &WorkerStatus| it.part == "gateway";
    assert_eq!(herd.others.iter().filter(|it| gateways(it)).count(), 2);
    // The programs are others then, and so are those who forward.
    place.does("reload web --gateways 1 --soak 0");
    place.until("web", |it| {
        let others = it.herd.iter().flat_map(|herd| &herd.others);
        others.filter(|it| gateways(it)).count() == 1
    });
    let bare =
        super::ended(&mut place.starting("-n bare --listen 127.0.0.1:0 --gateways 2", serves));
    assert_ne!(bare.status, Some(0));
    assert!(bare.err.contains("--gateways"), "{bare:?}");
}

/// The words of a worker's command line.
fn line(place: &Place, name: &str) -> Vec<String> {
    let pid = pids(&place.app(name))[0];
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    let words = bytes.split(|byte| *byte == 0);
    words
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect()
}

#[test]
fn programs_are_run_as_the_options_say() {
    let place = Place::new("o-programs");
    place.daemon();
    fs::write(place.root().join("prog.txt"), "sleep 1000\n").unwrap();
    place.does("start prog.txt --interpreter sh --node-args=-e -n named --ready-after 20ms");
    let words = line(&place, "named");
    assert_eq!(&words[..2], ["sh", "-e"]);
    assert!(words[2].ends_with("prog.txt"), "{words:?}");

    fs::write(place.root().join("app.js"), "setInterval(() => {}, 1000);").unwrap();
    place.does("start app.js -n plain --listen-timeout 100");
    place.does("start app.js -n mapped --listen-timeout 100 --source-map-support --no-node-shim");
    place.does("start app.js -n alone -x --ready-after 20ms");
    let has = |name: &str, word: &str| line(&place, name).iter().any(|it| it == word);
    assert!(has("plain", "--require") && !has("plain", "--enable-source-maps"));
    assert!(has("mapped", "--enable-source-maps") && !has("mapped", "--require"));
    let of_cluster = |name: &str| {
        let pid = pids(&place.app(name))[0];
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap();
        String::from_utf8_lossy(&environment).contains("NODE_CHANNEL_FD=")
    };
    assert!(of_cluster("plain") && !of_cluster("alone"));
    place.does("stop all --now");
}

/// User, group and groups of a process.
fn identity(pid: i32) -> (String, String, String) {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = |name: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(name));
        found
            .unwrap()
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    (line("Uid:"), line("Gid:"), line("Groups:"))
}

#[test]
fn workers_are_whose_the_options_say() {
    if !herder_sys::user::is_root() {
        eprintln!("only root can give workers to somebody else: not tested");
        return;
    }
    let place = Place::new("o-users");
    place.daemon();
    place.starts(
        "-n theirs --user 65534 --cwd / --ready-after 20ms",
        "exec sleep 1000",
    );
    place.starts(
        "-n both --uid 65534 --gid 12345 --cwd / --ready-after 20ms",
        "exec sleep 1000",
    );
    let of = |name: &str| identity(pids(&place.app(name))[0]);
    // Ready is who lives for 20 ms, and it becomes theirs when it becomes the program.
    let becomes = |name: &str, user: &str| {
        attempt(|| Some(of(name)).filter(|it| it.0 == user)).expect("it is theirs")
    };
    assert_ne!(becomes("theirs", "65534").1, "0");
    assert_eq!(becomes("both", "65534").1, "12345");
    place.does("restart theirs --group 12346");
    assert_eq!(becomes("theirs", "65534").1, "12346");
}

/// How many can connect before somebody would have to wait.
fn queue(path: &Path) -> usize {
    let address = SocketAddrUnix::new(path).unwrap();
    let mut inside = Vec::new();
    loop {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
        match connect(&socket, &address) {
            Ok(()) if inside.len() < 100 => inside.push(socket),
            _ => return inside.len(),
        }
    }
}

#[test]
fn listeners_are_as_the_options_say() {
    let place = Place::new("o-listeners");
    place.daemon();
    // Who never accepts leaves them in the queue.
    let socket = |name: &str| place.root().join(name);
    for (name, more) in [("short", "--backlog 2 --unix-mode 640"), ("usual", "")] {
        let path = socket(name);
        let options = format!(
            "-n {name} --listen unix:{} {more} --ready-after 20ms",
            path.display()
        );
        place.starts(&options, "exec sleep 1000");
    }
    assert_eq!(
        (mode(&socket("short")), mode(&socket("usual"))),
        (0o640, 0o600)
    );
    // The kernel takes one more than it was told.
    assert_eq!(queue(&socket("short")), 3);
    assert_eq!(queue(&socket("usual")), 100);

    place.starts(
        "-n port --listen 127.0.0.1:0 --ready-after 20ms",
        "exec sleep 1000",
    );
    let herd = place.app("port").herd.unwrap();
    TcpStream::connect(&herd.listening[0]).unwrap();
}

/// `herder run`, of which no daemon knows.
#[test]
fn run_does_as_its_options_say() {
    let place = Place::new("o-run");
    let cwd = place.directory("cwd");
    let socket = place.root().join("run.sock");
    let listen = format!("unix:{}", socket.display());
    let mut running = place.herder(["run", "--workers", "2", "--name", "alone", "--cwd"]);
    running
        .arg(&cwd)
        .args(["--listen", &listen, "--unix-mode", "604", "--backlog", "3"]);
    running.args(["--ready-after", "20ms", "--", "sh", "-c", LOOKS]);
    let mut herd = running.spawn().unwrap();
    for slot in 0..2 {
        let found = place.lines(&format!("cwd/found-{slot}"), 2);
        let has = |line: &str| found.iter().any(|it| it == line);
        assert!(has("HERDER_APP=alone") && has("LISTEN_FDS=1"), "{found:?}");
        assert!(
            has(&cwd.canonicalize().unwrap().display().to_string()),
            "{found:?}"
        );
    }
    assert!(!cwd.join("found-2").exists());
    assert_eq!(mode(&socket), 0o604);
    assert_eq!(queue(&socket), 4);
    let ended = terminate(&mut herd);
    assert!(ended.success(), "{ended:?}");
    assert!(!socket.exists());

    // Who ends before it counts as ready is no start.
    let brief = [
        "run",
        "--max-restarts",
        "1",
        "-i",
        "1",
        "--ready-after",
        "20s",
        "--",
        "sh",
        "-c",
    ];
    let mut failing = place.herder(brief);
    assert_eq!(
        super::ended(failing.arg("sleep 0.3; exit 1")).status,
        Some(3)
    );
}

#[test]
fn a_group_may_look_where_the_daemon_was_told_so() {
    const GROUP: u32 = 54_321;
    if !herder_sys::user::is_root() {
        eprintln!("only root can be somebody else: not tested");
        return;
    }
    use std::os::unix::process::CommandExt;
    let place = Place::new("o-group");
    fs::set_permissions(
        place.root(),
        std::os::unix::fs::PermissionsExt::from_mode(0o711),
    )
    .unwrap();
    let program = place.put_command();
    let mut daemon = place.herder(["daemon", "--read-group", &GROUP.to_string()]);
    let mut daemon = daemon.spawn().unwrap();
    attempt(|| (place.tries("ping").status == Some(0)).then_some(())).expect("it answers");
    place.starts("-n web --ready-after 20ms", "exec sleep 1000");
    let socket = fs::metadata(place.home().join("herder.sock")).unwrap();
    assert_eq!((socket.gid(), socket.mode() & 0o777), (GROUP, 0o660));
    let theirs = |group: u32, words: &[&str]| {
        let mut command = std::process::Command::new(&program);
        command
            .args(words)
            .env("HERDER_HOME", place.home())
            .current_dir("/")
            .uid(65_534)
            .gid(group)
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        super::ended(&mut command)
    };
    let seen = theirs(GROUP, &["list"]);
    assert!(
        seen.status == Some(0) && seen.out.contains("web"),
        "{seen:?}"
    );
    let refused = theirs(GROUP, &["stop", "web"]);
    assert_eq!(refused.status, Some(77), "{refused:?}");
    let stranger = theirs(GROUP + 1, &["list"]);
    assert_ne!(stranger.status, Some(0), "{stranger:?}");
    assert_eq!(place.app("web").phase, AppPhase::Online);
    assert!(terminate(&mut daemon).success());
}
