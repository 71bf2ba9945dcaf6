//! Who gets to a daemon from elsewhere, what is mounted into its home, and what nobody is told. (What its socket
//! answers to strangers, the tests of the daemon's API show.)

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::kit::{Place, attempt, kill, lives, pids, script};
use herder_api::app::Scalar;
use herder_api::status::AppPhase;

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

pub(super) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Opens everything that keeps others from the socket beside the daemon itself, and puts the command where
/// they can reach it.
fn exposed(place: &Place) -> PathBuf {
    set_mode(place.root(), 0o755);
    set_mode(&place.home(), 0o755);
    set_mode(&place.home().join("herder.sock"), 0o666);
    place.put_command()
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
    let program = place.put_command();
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
    let program = place.put_command();
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

    let seen = all_that_is_shown(&place);
    assert!(seen.contains("API_TOKEN"), "{seen}");
    assert!(!seen.contains("canary"), "{seen}");
    let worker = pids(&place.app("web"))[0];
    let (guard, daemon) = (place.guard().unwrap(), place.proper());
    for pid in [guard, daemon, herd.keeper, herd.master, worker] {
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

/// What the daemon says of the app `web` to whoever asks, and in its files.
fn all_that_is_shown(place: &Place) -> String {
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
    seen
}
