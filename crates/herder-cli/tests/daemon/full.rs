//! A home on a disk that is full.

use std::process::{Command, Stdio};

use super::kit::Place;

/// Mounts a small disk for the home, and ends the daemon in it in the end.
const BEGIN: &str = r#"set -eu
mkdir -m 700 "$HERDER_HOME"
mount -t tmpfs -o size=1m,mode=700 none "$HERDER_HOME"
trap '"$HERDER" kill >/dev/null' EXIT
fill() { cat /dev/zero >"$HERDER_HOME/full" || :; }
begin() { "$HERDER" start -n "$1" -i 1 --ready-after 20ms -- sleep 1000; }
"#;

/// What the shell says that has a small disk for its home; None where this machine permits none.
fn on_a_small_disk(place: &Place, line: &str) -> Option<String> {
    let permitted = "mount -t tmpfs none /mnt";
    let unshared = |line: &str| {
        let mut command = Command::new("unshare");
        command
            .args(["--map-root-user", "--mount", "sh", "-c", line])
            .env("HERDER", env!("CARGO_BIN_EXE_herder"))
            .env("HERDER_HOME", place.home())
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        command.output()
    };
    if !unshared(permitted).is_ok_and(|ran| ran.status.success()) {
        eprintln!("this machine permits no mounts: not tested");
        return None;
    }
    let ran = unshared(&format!("{BEGIN}{line}")).unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (said, complained) = (text(&ran.stdout), text(&ran.stderr));
    assert!(ran.status.success(), "{said}\n{complained}");
    Some(format!("{said}{complained}"))
}

#[test]
fn r16_an_app_that_is_restarted_on_a_full_disk_runs() {
    let place = Place::new("full");
    let line = r#"
begin old
fill
"$HERDER" restart old
"$HERDER" list
rm "$HERDER_HOME/full"
"$HERDER" restart old
begin new
"$HERDER" list"#;
    let Some(said) = on_a_small_disk(&place, line) else {
        return;
    };
    let told = said.matches("the list of apps cannot be written");
    assert_eq!(told.count(), 1, "whoever changes it is told: {said}");
    let runs = |line: &&str| line.contains(" online ") && line.contains("1/1");
    assert_eq!(said.lines().filter(runs).count(), 3, "{said}");
}

#[test]
fn r16_an_app_that_is_lost_on_a_full_disk_comes_back() {
    let place = Place::new("full-lost");
    let line = r#"
begin web
fill
keeper=$(for it in /proc/[0-9]*; do
    [ "$(readlink $it/fd/0)" != "$HERDER_HOME/run/web.lock" ] || echo "${it#/proc/}"
done)
kill -9 $keeper
for turn in $(seq 300); do
    case $("$HERDER" list) in *" online "*" 1 "*) break;; esac
    sleep 0.1
done
"$HERDER" list"#;
    let Some(said) = on_a_small_disk(&place, line) else {
        return;
    };
    let runs = |line: &&str| line.contains(" online ") && line.contains("1/1");
    assert_eq!(said.lines().filter(runs).count(), 1, "{said}");
}
