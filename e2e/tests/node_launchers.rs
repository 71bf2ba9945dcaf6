//! Launchers, which keep the channel that is meant for the program: named before anything is started, or found
//! out.

use herder_e2e::binary::Binary;
use herder_e2e::foreign::{BOOT, wait_for};
use herder_e2e::herd::Signal;
use herder_e2e::node::run;
use herder_e2e::scene::Scene;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// What `herder run WORDS` says and does not do. Returns it.
#[track_caller]
fn refused(scene: &Scene, words: &[&str]) -> String {
    let mut command = Command::new(Binary::HERDER.path());
    let output = command
        .current_dir(scene.directory())
        .arg("run")
        .args(words)
        .output()
        .expect("it is there");
    let text = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(2), "{words:?}: {text}");
    assert_eq!(text.lines().count(), 1, "{words:?}: {text}");
    assert!(!text.contains("started"), "{text}");
    text
}

#[test]
fn launchers_are_named_with_what_to_type() {
    let scene = Scene::new("node_launchers");
    let package =
        r#"{"scripts":{"start":"NODE_ENV=production node server.js","dev":"tsx watch app.ts"}}"#;
    fs::write(scene.directory().join("package.json"), package).expect("a file");
    for (words, cure) in [
        (
            &["npm", "start"][..],
            "NODE_ENV=production herder run server.js",
        ),
        (&["-i", "4", "npm", "start"], "herder run -i 4 server.js"),
        (&["--", "npm", "start"], "herder run server.js"),
        (&["npm", "run", "dev"], "--node-args='--import tsx' app.ts"),
        (
            &["npx", "tsx", "app.ts"],
            "--node-args='--import tsx' app.ts",
        ),
        (&["yarn", "dev"], "--node-args='--import tsx' app.ts"),
        (&["pnpm", "start"], "herder run server.js"),
        (
            &["tsx", "app.ts", "-i", "2"],
            "herder run -i 2 --node-args='--import tsx' app.ts",
        ),
        (&["node", "--watch", "app.js"], "herder run app.js"),
        (&["node", "--run", "start"], "herder run server.js"),
        (&["--", "node", "--watch", "app.js"], "herder run app.js"),
        (&["npm", "test"], "name the script"),
        (&[], "say what is to run"),
    ] {
        let text = refused(&scene, words);
        assert!(text.contains(cure), "{words:?}: {text}");
    }
}

#[test]
fn what_would_not_run_the_script_is_named_with_what_to_type() {
    let scene = Scene::new("node_slips");
    fs::write(scene.directory().join("slow.js"), "").expect("a script");
    fs::create_dir(scene.directory().join("empty")).expect("a directory");
    for (words, cure) in [
        (&["slow.js", "a.js"][..], "herder run slow.js -- a.js"),
        (&["slow.js --fast"], "herder run slow.js -- --fast"),
        (&["npm start"], "name the script that it starts"),
        (&["empty"], "no index.js; name the script"),
        (&["--node-args=-e 1", "slow.js"], "never run; leave it out"),
        (&["--node-args", "--check", "slow.js"], "leave it out"),
        (
            &["--send-handle", "", "-l", "0", "slow.js"],
            "such as server",
        ),
        (
            &["--backlog", "9", "slow.js"],
            "server.listen({ port, backlog })",
        ),
        (&["--unix-mode", "660", "slow.js"], "readableAll: true"),
        (
            &["--backlog", "9", "--", "sleep", "9"],
            "leave the option out",
        ),
    ] {
        let text = refused(&scene, words);
        assert!(text.contains(cure), "{words:?}: {text}");
    }
}

#[test]
fn a_directory_is_run_as_by_node() {
    let scene = Scene::new("node_directory");
    let package = r#"{"main": "lib/app"}"#;
    fs::create_dir(scene.directory().join("lib")).expect("a directory");
    fs::write(scene.directory().join("package.json"), package).expect("a file");
    let script = "require('http').createServer().listen(0, '127.0.0.1');";
    fs::write(scene.directory().join("lib/app.js"), script).expect("a script");
    let setup = scene.herd(Binary::HERDER);
    let herd = setup.args(["run", "-i", "2", "."]).start();
    wait_for(&herd, 0, 2, "ready", BOOT);
    assert!(herd.end().success());
}

#[test]
fn an_ordinary_node_program_gets_a_hint_and_runs() {
    let scene = Scene::new("node_hint");
    fs::write(
        scene.directory().join("app.js"),
        "setInterval(() => {}, 1000);",
    )
    .expect("a script");
    let setup = scene.herd(Binary::HERDER);
    let herd = setup
        .args([
            "run",
            "-i",
            "2",
            "--ready-after",
            "100ms",
            "--",
            "node",
            "app.js",
        ])
        .start();
    herd.wait_for_line("the hint", BOOT, |line| {
        line.contains("as workers of Node's cluster: herder run app.js")
            .then_some(())
    });
    wait_for(&herd, 0, 2, "ready", BOOT);
    assert!(herd.end().success());
}

#[test]
fn a_launcher_that_keeps_the_channel_is_found_out() {
    let scene = Scene::new("node_found_out");
    let launcher = scene.directory().join("launcher.js");
    let script = "const { spawn } = require('child_process');
        spawn(process.execPath, ['--no-warnings', 'app.js'], { stdio: 'inherit' });
        process.on('disconnect', () => process.exit(0));";
    fs::write(&launcher, script).expect("a script");
    fs::write(
        scene.directory().join("app.js"),
        "setInterval(() => {}, 1000);",
    )
    .expect("a script");
    let options = ["-i", "2", "--listen-timeout", "2s"];
    let herd = run(&scene, &launcher.to_string_lossy(), &options).start();
    wait_for(&herd, 0, 2, "ready (a guess", BOOT);
    herd.wait_for_line("the warning", BOOT, |line| {
        let says = line.contains("has started another Node (app.js)");
        (says && line.ends_with("herder run app.js")).then_some(())
    });
    herd.signal(Signal::TERM);
    assert!(herd.wait_for_exit(BOOT).success());
    let lines = herd.lines();
    let warned = lines.iter().filter(|it| it.text.contains("another Node"));
    assert_eq!(warned.count(), 1, "once for the herd");
}

#[test]
fn a_launcher_that_asks_for_a_listener_of_its_own_is_found_out() {
    let scene = Scene::new("node_pipe");
    let script = scene.directory().join("launcher.js");
    // As the tsx command does.
    let text = "const directory = `${process.env.PLACE}/tsx-0`;
        require('fs').mkdirSync(directory, { recursive: true });
        require('net').createServer().listen(`${directory}/${process.pid}.pipe`);";
    fs::write(&script, text).expect("a script");
    let herd = run(&scene, &script.to_string_lossy(), &["-i", "2"])
        .env("PLACE", scene.directory())
        .start();
    herd.wait_for_line("the warning", BOOT, |line| {
        line.contains("--node-args '--import tsx'").then_some(())
    });
    wait_for(&herd, 0, 2, "ready", BOOT);
    herd.signal(Signal::TERM);
    assert!(herd.wait_for_exit(BOOT).success());
    let lines = herd.lines();
    let warned = lines.iter().filter(|it| it.text.contains("--import tsx"));
    assert_eq!(warned.count(), 1, "once for the herd");
}

#[test]
fn a_program_that_is_still_being_loaded_is_not_taken_for_ready() {
    let scene = Scene::new("node_loaded");
    // As on a machine that has much else to do: longer than what a program gets to listen.
    let interpreter = scene.directory().join("node");
    fs::write(&interpreter, "#!/bin/sh\nsleep 2\nexec node \"$@\"\n").expect("a script");
    fs::set_permissions(&interpreter, fs::Permissions::from_mode(0o755)).expect("ours");
    let script = scene.directory().join("app.js");
    fs::write(&script, "setInterval(() => {}, 1000);").expect("a script");
    let options = ["-i", "1", "--listen-timeout", "300ms", "--interpreter"];
    let herd = scene.herd(Binary::HERDER).arg("run").args(options);
    let herd = herd.arg(&interpreter).arg(&script).start();
    wait_for(&herd, 0, 1, "ready (a guess", BOOT);
    let lines = herd.lines();
    let place = |what: &str| lines.iter().position(|it| it.text.contains(what));
    assert!(place("] online") < place("] ready"), "{lines:#?}");
    assert!(place("] online").is_some(), "{lines:#?}");
    assert!(herd.end().success());
}
