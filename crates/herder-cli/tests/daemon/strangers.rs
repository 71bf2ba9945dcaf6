//! Who gets to a daemon from elsewhere, what is planted in its home, and what nobody is told. (What one socket
//! answers to strangers, the tests of the daemon's API show; what a log file may be, those of the logs.)

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use herder_api::app::Scalar;
use herder_api::status::AppPhase;
use rustix::fs::{CWD, FileType, Mode};

use super::kit::{Place, attempt, idle, kill, lives, pids, script};

/// A user that is neither we nor root.
const NOBODY: u32 = 65_534;

/// Whether this machine lets us do that; it says so by name where it does not.
fn permits(what: &str, command: &[&str]) -> bool {
    let mut attempt = Command::new(command[0]);
    let ran = attempt.args(&command[1..]).stdin(Stdio::null()).output();
    let may = ran.as_ref().is_ok_and(|output| output.status.success());
    if !may {
        eprintln!("this machine permits no {what}: not tested ({ran:?})");
    }
    may
}

fn is_root() -> bool {
    let root = herder_sys::user::is_root();
    if !root {
        eprintln!("only root can be somebody else: not tested");
    }
    root
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Opens everything that keeps others from the socket beside the daemon itself, and puts the command where
/// they can reach it.
fn exposed(place: &Place) -> PathBuf {
    set_mode(place.root(), 0o755);
    set_mode(&place.home(), 0o755);
    set_mode(&place.home().join("herder.sock"), 0o666);
    let program = place.root().join("herder");
    fs::copy(env!("CARGO_BIN_EXE_herder"), &program).unwrap();
    program
}

/// Runs a line of a shell as somebody (as we are, if that is nobody else).
fn shell(uid: Option<u32>, line: &str) -> Output {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new("sh");
    command
        .args(["-c", line])
        .current_dir("/")
        .stdin(Stdio::null());
    if let Some(uid) = uid {
        command.uid(uid).gid(uid);
    }
    command.output().unwrap()
}

/// That somebody was turned away, and did not learn who runs there.
#[track_caller]
fn assert_refused(output: &Output, place: &Place) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success(), "{output:?}");
    assert!(!said.contains(&place.proper().to_string()), "{said}");
    assert!(!said.contains("canary"), "{said}");
}

#[test]
fn r57_root_of_another_user_namespace_is_the_user_that_made_it() {
    if !permits(
        "user namespaces",
        &["unshare", "--user", "--map-root-user", "true"],
    ) {
        return;
    }
    let place = Place::new("s-namespace");
    place.daemon();
    let program = exposed(&place);
    let ask = |uid: Option<u32>, how: &str| {
        let (home, program) = (place.home(), program.display());
        shell(
            uid,
            &format!("HERDER_HOME={} unshare {how} {program} pid", home.display()),
        )
    };
    // We are who we are also where we are called root, or have no name at all.
    for how in ["--user --map-root-user", "--user"] {
        let ours = ask(None, how);
        assert!(ours.status.success(), "{how}: {ours:?}");
    }
    if is_root() {
        let outside = shell(
            Some(NOBODY),
            &format!(
                "HERDER_HOME={} {} pid",
                place.home().display(),
                program.display()
            ),
        );
        assert_eq!(outside.status.code(), Some(77), "{outside:?}");
        // There it is root.
        let inside = ask(Some(NOBODY), "--user --map-root-user");
        assert_eq!(inside.status.code(), Some(77), "{inside:?}");
        assert_refused(&inside, &place);
    }
}

#[test]
fn r57_who_is_outside_of_the_daemons_user_namespace_is_a_stranger() {
    if !permits("user namespaces", &["unshare", "--user", "true"]) {
        return;
    }
    // Nobody is known in there: all are called the same, and the daemon is, too.
    let place = Place::new("s-unnamed");
    let mut command = Command::new("unshare");
    command.args(["--user", env!("CARGO_BIN_EXE_herder"), "daemon"]);
    let refused = command.env("HERDER_HOME", place.home()).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(77), "{said}");
    assert!(said.contains("user namespace"), "{said}");
    assert_eq!(fs::read_dir(place.home()).unwrap().count(), 0);
    drop(place);

    if !is_root() {
        return;
    }
    // One that is called root in there, and is not: of the real root it sees only that it knows it not.
    let place = Place::new("s-inside");
    set_mode(place.root(), 0o755);
    let program = place.root().join("herder");
    fs::copy(env!("CARGO_BIN_EXE_herder"), &program).unwrap();
    fs::create_dir(place.home()).unwrap();
    set_mode(&place.home(), 0o700);
    chown(place.home(), Some(NOBODY), Some(NOBODY)).unwrap();
    use std::os::unix::process::CommandExt;
    let mut daemon = Command::new("unshare")
        .args(["--user", "--map-root-user"])
        .arg(&program)
        .arg("daemon")
        .env("HERDER_HOME", place.home())
        .current_dir("/")
        .uid(NOBODY)
        .gid(NOBODY)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let ask = |uid: u32, how: &str| {
        let (home, program) = (place.home(), program.display());
        shell(
            Some(uid),
            &format!("HERDER_HOME={} {how} {program} pid", home.display()),
        )
    };
    let answers = || ask(NOBODY, "").status.success().then_some(());
    attempt(answers).expect("its owner is heard from outside as well");
    let outside = ask(0, "");
    assert_eq!(outside.status.code(), Some(77), "{outside:?}");
    assert!(daemon.try_wait().unwrap().is_none());
    let pid = i32::try_from(daemon.id()).unwrap();
    let process = herder_sys::pidfd::PidFd::open(pid).unwrap();
    process
        .signal(herder_sys::signal::Signal::Terminate)
        .unwrap();
    daemon.wait().unwrap();
}

#[test]
fn r57_a_socket_is_no_more_open_where_it_is_mounted_elsewhere() {
    let permitted = ["unshare", "--mount", "sh", "-c", "mount --bind / /"];
    if !is_root() || !permits("bind mounts", &permitted) {
        return;
    }
    let place = Place::new("s-mounted");
    place.daemon();
    set_mode(place.root(), 0o755);
    let program = place.root().join("herder");
    fs::copy(env!("CARGO_BIN_EXE_herder"), &program).unwrap();
    let elsewhere = place.root().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let ask = |mount: &str| {
        let who = "setpriv --reuid 65534 --regid 65534 --clear-groups";
        let (home, program) = (elsewhere.display(), program.display());
        let line = format!("{mount} && HERDER_HOME={home} {who} {program} pid");
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-c", &line])
            .current_dir("/");
        command.stdin(Stdio::null()).output().unwrap()
    };
    let (home, place_there) = (place.home(), elsewhere.display());
    // The whole home has its own rights, wherever it stands.
    let whole = ask(&format!("mount --bind {} {place_there}", home.display()));
    assert_refused(&whole, &place);
    // And so has the socket alone, in a directory that is open to all.
    fs::write(elsewhere.join("herder.sock"), "").unwrap();
    set_mode(&elsewhere, 0o755);
    let alone = format!(
        "mount --bind {}/herder.sock {place_there}/herder.sock",
        home.display()
    );
    assert_refused(&ask(&alone), &place);
    // Where its mode has been opened as well, it is the user that counts.
    set_mode(&home.join("herder.sock"), 0o666);
    let heard = ask(&alone);
    assert_eq!(heard.status.code(), Some(77), "{heard:?}");
    assert_refused(&heard, &place);
}

#[test]
fn r60_directories_in_the_home_that_others_can_write_to_are_refused() {
    let place = Place::new("s-open");
    let home = place.home();
    fs::create_dir(&home).unwrap();
    set_mode(&home, 0o700);
    for (name, mode) in [("state", 0o777), ("run", 0o1777), ("logs", 0o770)] {
        let path = home.join(name);
        fs::create_dir_all(&path).unwrap();
        set_mode(&path, mode);
        let word = place.announced();
        assert_eq!(word["is"], "failed", "{name}: {word}");
        let said = word["problem"]["message"].as_str().unwrap();
        assert!(
            said.contains(name) && said.contains("others may write to it"),
            "{said}"
        );
        assert!(said.contains(&format!("{mode:o}")), "{said}");
        set_mode(&path, 0o700);
        place.bury();
    }
    place.daemon();
}

#[test]
fn r60_what_is_mounted_into_the_home_is_looked_at() {
    let permitted = ["unshare", "--mount", "sh", "-c", "mount --bind / /"];
    if !is_root() || !permits("bind mounts", &permitted) {
        return;
    }
    let place = Place::new("s-mounts");
    let home = place.home();
    for name in ["home/logs", "home/run", "theirs", "open"] {
        fs::create_dir_all(place.root().join(name)).unwrap();
    }
    set_mode(&home, 0o700);
    chown(place.root().join("theirs"), Some(NOBODY), Some(NOBODY)).unwrap();
    set_mode(&place.root().join("open"), 0o1777);
    for (from, to) in [("theirs", "logs"), ("open", "run"), ("theirs", ".")] {
        let line = format!(
            "mount --bind {0}/{from} {0}/home/{to} && HERDER_HOME={0}/home exec {1} daemon",
            place.root().display(),
            env!("CARGO_BIN_EXE_herder")
        );
        let mut command = Command::new("unshare");
        let ran = command
            .args(["--mount", "sh", "-c", &line])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert_eq!(ran.status.code(), Some(77), "{from} at {to}: {ran:?}");
        let there = fs::read_dir(place.root().join(from)).unwrap().count();
        assert_eq!(there, 0, "{from} at {to}");
    }
}

/// What is planted where a file will be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Planted {
    /// A symbolic link to something precious.
    Link,
    /// One to nothing, which would be made.
    Dangling,
    /// Another name of something precious.
    HardLink,
    /// What holds up whoever opens it.
    Pipe,
    /// A directory with something in it.
    Directory,
}

const ALL: [Planted; 5] = [
    Planted::Link,
    Planted::Dangling,
    Planted::HardLink,
    Planted::Pipe,
    Planted::Directory,
];

/// Something planted, and what it leads to.
struct Trap {
    planted: Planted,
    path: PathBuf,
    target: PathBuf,
}

impl Trap {
    fn set(place: &Place, planted: Planted, name: &str) -> Trap {
        let path = place.home().join(name);
        let number = name.replace('/', "-");
        let target = place.root().join(format!("precious-{number}"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if planted != Planted::Dangling {
            fs::write(&target, "precious").unwrap();
        }
        match planted {
            Planted::Link | Planted::Dangling => symlink(&target, &path).unwrap(),
            Planted::HardLink => fs::hard_link(&target, &path).unwrap(),
            Planted::Pipe => {
                let mode = Mode::RUSR | Mode::WUSR;
                rustix::fs::mknodat(CWD, &path, FileType::Fifo, mode, 0).unwrap();
            }
            Planted::Directory => fs::create_dir_all(path.join("within")).unwrap(),
        }
        Trap {
            planted,
            path,
            target,
        }
    }

    #[track_caller]
    fn assert_untouched(&self) {
        let target = fs::read_to_string(&self.target);
        if self.planted == Planted::Dangling {
            assert!(target.is_err(), "{}: it was made", self.path.display());
        } else {
            assert_eq!(target.unwrap(), "precious", "{}", self.path.display());
        }
    }
}

/// A home that is ours alone, and has its directories.
fn made(place: &Place) {
    for name in ["state/herds", "run", "logs"] {
        fs::create_dir_all(place.home().join(name)).unwrap();
    }
    for name in ["", "state", "state/herds", "run", "logs"] {
        set_mode(&place.home().join(name), 0o700);
    }
}

#[test]
fn r60_nothing_is_written_through_what_is_planted_for_the_daemon() {
    for name in [
        "daemon.lock",
        "daemon.log",
        "daemon.err",
        "herder.sock",
        "state/apps.json",
        "state/.apps.json.new",
    ] {
        for planted in ALL {
            let place = Place::new("s-planted");
            made(&place);
            let trap = Trap::set(&place, planted, name);
            let word = place.announced();
            let what = format!("{planted:?} as {name}: {word}");
            // Either it says why not, or it does without what is there.
            if word["is"] == "failed" {
                let file = name.rsplit('/').next().unwrap().trim_start_matches('.');
                let problem = word["problem"].to_string();
                assert!(
                    problem.contains(file) || problem.contains("apps.json"),
                    "{what}"
                );
            } else {
                assert_eq!(word["is"], "ready", "{what}");
                place.start(&[idle("web")]).done("web");
            }
            trap.assert_untouched();
        }
    }
}

#[test]
fn r60_nothing_is_written_through_what_is_planted_for_an_app() {
    let files = [
        "run/APP.lock",
        "run/APP.sock",
        "state/herds/APP.json",
        "state/herds/APP.err",
        "logs/APP-out.log",
        "logs/APP-error.log",
        "logs/APP-herder.jsonl",
    ];
    let place = Place::new("s-traps");
    place.daemon();
    for (number, file) in files.iter().enumerate() {
        for planted in ALL {
            let name = format!("{planted:?}-{number}").to_lowercase();
            let trap = Trap::set(&place, planted, &file.replace("APP", &name));
            let speaks = "echo word; echo trouble >&2; exec sleep 1000";
            let told = place.start(&[script(&name, speaks)]);
            let what = format!("{planted:?} as {file}: {told:?}");
            if told.end() == (0, 1) {
                // It says which file it is.
                let file = trap.path.file_name().unwrap().to_str().unwrap();
                let said = format!("{:?}", told.failed(&name));
                assert!(said.contains(file), "{what}");
            } else {
                // Its log is emptied and opened again, too.
                place.act(herder_api::control::Verb::ReopenLogs, &name);
                place.act(herder_api::control::Verb::Flush, &name);
            }
            trap.assert_untouched();
            place.act(herder_api::control::Verb::Delete, &name);
            trap.assert_untouched();
        }
    }
}

#[test]
fn r60_an_app_whose_log_file_is_a_pipe_or_lies_where_others_write_is_refused() {
    let place = Place::new("s-pipe");
    place.daemon();
    let pipe = place.root().join("pipe");
    rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let open = place.root().join("open");
    fs::create_dir(&open).unwrap();
    let logs_to = |name: &str, path: PathBuf| {
        let mut app = idle(name);
        app.logs.out = Some(path);
        app
    };
    let told = place.start(&[logs_to("pipe", pipe)]);
    assert!(format!("{:?}", told.failed("pipe")).contains("it is a pipe, no plain file"));
    set_mode(&open, 0o777);
    let told = place.start(&[logs_to("open", open.join("a.log"))]);
    assert!(format!("{:?}", told.failed("open")).contains("everybody may write to its directory"));
    // Where nobody can put another in its place, it may stand.
    set_mode(&open, 0o1777);
    place
        .start(&[logs_to("sticky", open.join("a.log"))])
        .done("sticky");
}

#[test]
fn r59_a_secret_is_nowhere_but_with_the_workers() {
    let place = Place::new("s-secret");
    // Whoever happens to start the daemon has secrets of its own.
    let mut command = Command::new(env!("CARGO_BIN_EXE_herder"));
    let pinged = command
        .arg("ping")
        .env("HERDER_HOME", place.home())
        .env("HERDER_STORE", "redis://:canary@127.0.0.1/0")
        .env("SHELL_TOKEN", "canary")
        .output()
        .unwrap();
    assert!(pinged.status.success(), "{pinged:?}");
    let mut app = script("web", "echo started; exec sleep 1000");
    app.env
        .insert("API_TOKEN".to_owned(), Scalar::Text("canary".to_owned()));
    app.store = Some("redis://:canary@127.0.0.1:1/0".to_owned());
    place.start(&[app]).done("web");
    let herd = place.app("web").herd.unwrap();
    let worker = pids(&place.app("web"))[0];
    kill(worker);
    place.until("web", |it| {
        it.phase == AppPhase::Online && it.restarts > 0 && pids(it).len() == 1
    });

    let mut seen = String::new();
    for words in [
        "list",
        "jlist",
        "describe web --json",
        "describe web",
        "env web",
        "history web",
        "logs --nostream --herder",
        "save",
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_herder"));
        let words: Vec<&str> = words.split(' ').collect();
        let output = command
            .args(&words)
            .env("HERDER_HOME", place.home())
            .output()
            .unwrap();
        assert!(output.status.success(), "{words:?}: {output:?}");
        seen += &String::from_utf8_lossy(&output.stdout);
        seen += &String::from_utf8_lossy(&output.stderr);
    }
    seen += &place.wait(async { place.client().metrics().await.unwrap() });
    seen += &place.complaints();
    for entry in fs::read_dir(place.home().join("logs")).unwrap().flatten() {
        seen += &fs::read_to_string(entry.path()).unwrap_or_default();
    }
    assert!(seen.contains("API_TOKEN"), "{seen}");
    assert!(!seen.contains("canary"), "{seen}");
    let worker = pids(&place.app("web"))[0];
    for pid in [
        place.guard().unwrap(),
        place.proper(),
        herd.keeper,
        herd.master,
        worker,
    ] {
        assert!(lives(pid));
        let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let line = String::from_utf8_lossy(&read("cmdline")).into_owned();
        assert!(!line.contains("canary"), "{line}");
        let environment = String::from_utf8_lossy(&read("environ")).into_owned();
        let has = environment.contains("canary");
        assert_eq!(has, pid == worker, "{line}: {environment}");
    }
    // What has to be written down, to start it again, is read by nobody else.
    for name in [
        "state/apps.json",
        "state/saved.json",
        "state/herds/web.json",
    ] {
        let path = place.home().join(name);
        assert!(!path.exists() || super::kit::mode(&path) == 0o600, "{name}");
    }
}
