//! `herder run FILE`: an app of a file in the foreground, and what becomes of it when the file changes.

use herder_e2e::binary::Binary;
use herder_e2e::deploy::Verdict;
use herder_e2e::foreign::{BOOT, Seat, wait_for};
use herder_e2e::herd::{Herd, Signal};
use herder_e2e::scene::Scene;
use std::fs;

/// What stands in `herder.toml`, with this version.
fn definition(version: u32, more: &str) -> String {
    format!(
        "[apps.web]\n\
         command = [\"python3\", \"-c\", \"import signal; signal.pause()\"]\n\
         ready_after = \"200ms\"\n\
         soak = \"200ms\"\n\
         workers = 2\n\
         env = {{ A = {version} }}\n\
         {more}\n"
    )
}

fn write(scene: &Scene, name: &str, text: &str) {
    let (path, next) = (scene.directory().join(name), scene.directory().join("next"));
    fs::write(&next, text).expect("ours");
    fs::rename(&next, &path).expect("ours");
}

fn run(scene: &Scene, arguments: &[&str]) -> Herd {
    scene
        .herd(Binary::HERDER)
        .arg("run")
        .args(arguments)
        .start()
}

/// What becomes of a HUP.
#[track_caller]
fn reloaded(herd: &Herd) -> Verdict {
    let mark = herd.mark();
    herd.signal(Signal::HUP);
    herd.wait_for_line_after(mark, "the verdict", BOOT, Verdict::of_line)
}

fn has(seat: &Seat, variable: &str) -> bool {
    let environment = fs::read(format!("/proc/{}/environ", seat.pid)).expect("it lives");
    environment
        .split(|byte| *byte == 0)
        .any(|it| it == variable.as_bytes())
}

#[test]
fn r38_a_file_that_is_wrong_changes_nothing_and_the_verdict_names_its_line() {
    let scene = Scene::new("file_wrong");
    write(&scene, "herder.toml", &definition(1, ""));
    let herd = run(&scene, &["herder.toml"]);
    let before = wait_for(&herd, 0, 2, "ready", BOOT);
    for (more, expected) in [
        ("instances = 4", "herder.toml:7:1: "),
        ("grace = \"long\"", "herder.toml:7:"),
        (
            "listen = \"127.0.0.1:0\"",
            "listen cannot be changed by a reload",
        ),
        ("cwd = [", "herder.toml:"),
    ] {
        write(&scene, "herder.toml", &definition(2, more));
        let verdict = reloaded(&herd);
        let Verdict::Refused { generation, reason } = &verdict else {
            panic!("{more}: {verdict:?}");
        };
        assert_eq!(*generation, 2);
        assert!(reason.contains(expected), "{more}: {reason}");
    }
    assert!(before.iter().all(|seat| has(seat, "A=1")), "they serve on");
    let mark = herd.mark();
    write(&scene, "herder.toml", &definition(3, ""));
    let verdict = reloaded(&herd);
    assert!(
        matches!(verdict, Verdict::Done { generation: 2, .. }),
        "{verdict:?}"
    );
    let after = wait_for(&herd, mark, 2, "ready", BOOT);
    assert!(after.iter().all(|seat| has(seat, "A=3")));
    assert!(herd.end().success());
}

#[test]
fn one_app_of_a_file_is_run_in_the_foreground() {
    let scene = Scene::new("file_one");
    let other = "[apps.other]\ncommand = [\"sleep\", \"600\"]\n\
                 [apps.other.profiles.staging]\nSTAGE = \"staging\"";
    write(&scene, "herder.toml", &definition(1, other));
    let refused = |arguments: &[&str], expected: &str| {
        let herd = run(&scene, arguments);
        assert_eq!(herd.wait_for_exit(BOOT).code(), Some(2), "{arguments:?}");
        let lines: Vec<String> = herd.lines().into_iter().map(|it| it.text).collect();
        assert!(lines.concat().contains(expected), "{lines:?}");
    };
    refused(&["herder.toml"], "herder run herder.toml --only web");
    refused(&["herder.toml", "--only", "wed"], "Did you mean web?");
    refused(
        &["herder.toml", "--workers", "3"],
        "--workers: \"herder.toml\" says it",
    );
    refused(
        &["--only", "web", "--", "true"],
        "--only: only a file that defines apps",
    );
    refused(&["gone.toml"], "gone.toml");
    let herd = run(
        &scene,
        &["herder.toml", "--only", "other", "--env", "staging"],
    );
    let seats = wait_for(&herd, 0, 1, "ready", BOOT);
    assert!(has(&seats[0], "STAGE=staging"));
    assert!(herd.end().success());
}

#[test]
fn an_ecosystem_file_is_run_as_it_is() {
    let scene = Scene::new("file_pm2");
    let file = "module.exports = { apps: [{ name: 'api', script: './server.js', instances: 2, \
                surprise: 1, env: { B: '2' } }] };";
    write(&scene, "ecosystem.config.js", file);
    let server = "require('http').createServer((q, s) => s.end(process.env.B)).listen(0);";
    write(&scene, "server.js", server);
    let herd = run(&scene, &["ecosystem.config.js"]);
    let seats = wait_for(&herd, 0, 2, "ready", BOOT);
    assert!(seats.iter().all(|seat| has(seat, "B=2")));
    let warned = herd.lines();
    assert!(
        warned.iter().any(|it| it.text.contains("surprise")),
        "{warned:?}"
    );
    let mark = herd.mark();
    write(&scene, "ecosystem.config.js", &file.replace("'2'", "'3'"));
    herd.signal(Signal::HUP);
    let seats = wait_for(&herd, mark, 2, "ready", BOOT);
    assert!(seats.iter().all(|seat| has(seat, "B=3")));
    write(&scene, "ecosystem.config.js", "module.exports = {");
    let verdict = herd.mark();
    herd.signal(Signal::HUP);
    let reason = herd.wait_for_line_after(verdict, "it is refused or waits", BOOT, |line| {
        line.contains("ecosystem.config.js")
            .then(|| line.to_owned())
    });
    assert!(reason.contains("ecosystem.config.js"), "{reason}");
    assert!(herd.end().success());
}
