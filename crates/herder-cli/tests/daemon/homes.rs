//! Whose home it is, and that there is one daemon in it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use super::kit::{Place, attempt, idle, mode, pid};

#[test]
fn r40_a_second_daemon_names_the_first_and_touches_nothing() {
    let place = Place::new("second");
    let guard = place.daemon();
    let before = snapshot(&place);
    let begun = Instant::now();
    let output = place.command().output().unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(output.status.code(), Some(100));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        complaint.contains(&format!("process {guard}")),
        "{complaint}"
    );
    let word: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&word["is"], pid(&word["pid"])), (&"held".into(), guard));
    assert_eq!(snapshot(&place), before);
}

/// All files with their inodes and times of change.
fn snapshot(place: &Place) -> BTreeMap<String, (u64, i64, i64)> {
    let mut found = BTreeMap::new();
    let mut open = vec![place.home()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap().flatten() {
            let data = entry.path().symlink_metadata().unwrap();
            let stamp = (data.ino(), data.mtime(), data.mtime_nsec());
            found.insert(entry.path().display().to_string(), stamp);
            if data.is_dir() {
                open.push(entry.path());
            }
        }
    }
    found
}

#[test]
fn r40_of_fifty_racers_one_wins() {
    let place = Place::new("race");
    let racers: Vec<_> = (0..50).map(|_| place.command().spawn().unwrap()).collect();
    let mut winners = Vec::new();
    for mut racer in racers {
        let mut line = String::new();
        let stdout = racer.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).unwrap();
        let word: serde_json::Value = serde_json::from_str(&line).unwrap();
        if word["is"] == "ready" {
            winners.push(racer);
        } else {
            assert_eq!(word["is"], "held", "{word}");
            assert_eq!(racer.wait().unwrap().code(), Some(100));
        }
    }
    let count = winners.len();
    place.wait(async { place.client().daemon().await.unwrap() });
    for mut winner in winners {
        winner.kill().unwrap();
        winner.wait().unwrap();
    }
    assert_eq!(count, 1);
}

#[test]
fn r41_a_stale_socket_is_replaced_and_anything_else_is_not() {
    let place = Place::new("stale");
    fs::create_dir(place.home()).unwrap();
    fs::set_permissions(place.home(), fs::Permissions::from_mode(0o700)).unwrap();
    let socket = place.home().join("herder.sock");
    drop(UnixListener::bind(&socket).unwrap());
    place.daemon();
    place.wait(async { place.client().daemon().await.unwrap() });

    let other = Place::new("nosock");
    fs::create_dir(other.home()).unwrap();
    fs::set_permissions(other.home(), fs::Permissions::from_mode(0o700)).unwrap();
    let file = other.home().join("herder.sock");
    fs::write(&file, "precious").unwrap();
    let word = other.announced();
    assert_eq!(word["is"], "failed", "{word}");
    assert!(
        word["problem"]["message"]
            .as_str()
            .unwrap()
            .contains("herder.sock"),
        "{word}"
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
}

#[test]
fn r59_what_it_writes_is_for_its_user_alone() {
    let place = Place::new("modes");
    place.daemon();
    place.start(&[idle("web")]).done("web");
    let home = place.home();
    for directory in ["", "state", "state/herds", "run", "logs"] {
        assert_eq!(mode(&home.join(directory)), 0o700, "{directory}");
    }
    for file in [
        "herder.sock",
        "daemon.lock",
        "daemon.log",
        "daemon.err",
        "state/apps.json",
        "state/herds/web.json",
        "state/herds/web.err",
        "run/web.lock",
        "run/web.sock",
    ] {
        assert_eq!(mode(&home.join(file)), 0o600, "{file}");
    }
}

#[test]
fn r57_a_home_that_is_open_to_others_is_refused() {
    let place = Place::new("open");
    fs::create_dir(place.home()).unwrap();
    fs::set_permissions(place.home(), fs::Permissions::from_mode(0o755)).unwrap();
    let output = place.command().output().unwrap();
    assert_eq!(output.status.code(), Some(77));
    let word: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(word["problem"]["kind"], "forbidden", "{word}");
    assert_eq!(fs::read_dir(place.home()).unwrap().count(), 0);
}

#[test]
fn r60_links_in_the_home_are_not_followed() {
    for name in ["state", "run", "logs", "daemon.lock", "state/apps.json"] {
        let place = Place::new("link");
        let target = place.root().join("target");
        fs::create_dir_all(place.home().join("state")).unwrap();
        fs::set_permissions(place.home(), fs::Permissions::from_mode(0o700)).unwrap();
        let link = place.home().join(name);
        if name == "state" {
            fs::remove_dir(&link).unwrap();
        }
        if name.contains('.') {
            fs::write(&target, "precious").unwrap();
        } else {
            fs::create_dir(&target).unwrap();
        }
        symlink(&target, &link).unwrap();
        let word = place.announced();
        if name == "state/apps.json" {
            // The list is replaced, and what the link leads to stays.
            assert_eq!(word["is"], "ready", "{word}");
            place.start(&[idle("web")]).done("web");
        } else {
            assert_eq!(word["is"], "failed", "{name}: {word}");
        }
        if target.is_dir() {
            assert_eq!(fs::read_dir(&target).unwrap().count(), 0, "{name}");
        } else {
            assert_eq!(fs::read_to_string(&target).unwrap(), "precious", "{name}");
        }
    }
}

#[test]
fn a_relative_home_and_a_home_that_is_a_link_are_refused() {
    let place = Place::new("relative");
    symlink("/tmp", place.home()).unwrap();
    let word = place.announced();
    assert_eq!(word["is"], "failed", "{word}");
    assert!(
        word["problem"]["hint"]
            .as_str()
            .unwrap()
            .contains("symbolic"),
        "{word}"
    );
}

#[test]
fn it_ends_with_its_apps_and_they_come_back_with_it() {
    let place = Place::new("term");
    let guard = place.daemon();
    place.start(&[idle("web")]).done("web");
    let process = herder_sys::pidfd::PidFd::open(guard).unwrap();
    process
        .signal(herder_sys::signal::Signal::Terminate)
        .unwrap();
    place.bury();
    assert!(attempt(|| (!place.home().join("run/web.sock").exists()).then_some(())).is_some());
    place.daemon();
    place.until_phase("web", herder_api::status::AppPhase::Online);
}
