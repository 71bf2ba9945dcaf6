//! A reload replaces the libraries before the workers, one life after the other; one that does not come up is put
//! back.

use herder_e2e::binary::Binary;
use herder_e2e::foreign::{self, BOOT};
use herder_e2e::herd::{Herd, Setup, Signal};
use herder_e2e::library::{ask_at, told, wait_for};
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use std::fs;

/// A library in Node.
const CORE: &str = "
let calls = 0;
exports.kv = {
  who() { calls += 1; return `version:VERSION epoch:${process.env.HERDER_EPOCH} calls:${calls}`; },
};
";

/// Put before it: it fails, but only once.
const ONCE: &str = "
const fs = require('fs');
if (!fs.existsSync('tried')) { fs.writeFileSync('tried', ''); throw new Error('no database'); }
";

/// A worker in Node that asks it.
const APP: &str = "
const net = require('net');
const herder = require('SDK');
const server = net.createServer(async (socket) => {
  socket.on('error', () => {});
  socket.on('end', () => {});
  socket.once('data', async () => {
    try {
      const answer = await ASK;
      socket.end(`worker:${process.env.HERDER_WORKER_ID} ${answer}\\n`);
    } catch (error) {
      socket.end(`error ${error.message}\\n`);
    }
  });
});
server.listen(0, '127.0.0.1');
";

fn write(scene: &Scene, name: &str, text: &str) {
    let sdk = concat!(env!("CARGO_MANIFEST_DIR"), "/../sdk/node");
    let path = scene.directory().join(name);
    fs::write(path, text.replace("SDK", sdk)).expect("a file");
}

fn run(scene: &Scene, options: &[&str]) -> Setup {
    let setup = scene.herd(Binary::HERDER).arg("run").args(options);
    let setup = setup.args(["-i", "2", "--soak", "300ms", "app.js"]);
    setup.directory(scene.directory())
}

/// Asks for a reload and waits for a line of its verdict.
fn reload(herd: &Herd, verdict: &str) -> String {
    let mark = herd.mark();
    herd.signal(Signal::HUP);
    herd.wait_for_line_after(mark, verdict, BOOT, |line| {
        line.contains(verdict).then(|| line.to_owned())
    })
}

#[test]
fn r38_a_library_is_replaced_first_and_put_back_when_it_does_not_come_up() {
    let scene = Scene::new("reload_lib");
    write(&scene, "core.js", &CORE.replace("VERSION", "1"));
    let ask = "(await herder.agent()).kv.who()";
    write(&scene, "app.js", &APP.replace("ASK", ask));
    let herd = run(&scene, &["--library", "core=core.js"]).start();
    foreign::wait_for(&herd, 0, 2, "ready", BOOT);
    let address = foreign::address(&herd);
    assert!(ask_at(address, "who").contains("version:1 epoch:1 "));

    write(&scene, "core.js", &CORE.replace("VERSION", "2"));
    reload(&herd, "generation 2 is in service");
    let answer = ask_at(address, "who");
    assert!(answer.contains("version:2 epoch:2 "), "{answer}");
    let lines = herd.lines();
    let place = |text: &str| lines.iter().position(|line| line.text.contains(text));
    let ended = lines
        .iter()
        .position(|line| told(&line.text, "ended").is_some());
    let (next, workers) = (place("library core #2"), place("worker 0 #3"));
    assert!(
        ended.is_some() && ended < next && next < workers,
        "{lines:?}"
    );
    let stops = lines
        .iter()
        .any(|line| line.text.contains("the herd stops"));
    assert!(!stops, "{lines:?}");

    let before = herd.mark();
    write(
        &scene,
        "core.js",
        &format!("{ONCE}{CORE}").replace("VERSION", "3"),
    );
    let line = reload(&herd, "generation 3 was rolled back to 2: library core #3");
    assert!(line.contains("ended before it was ready"), "{line}");
    let back = wait_for(&herd, before, 1, "ready", BOOT).remove(0);
    assert_eq!(back.epoch, 4);
    let answer = wait::until(BOOT, "who is left serves", || {
        let answer = ask_at(address, "who");
        answer.contains("epoch:4 ").then_some(answer)
    });
    let is_old = answer.starts_with("worker:3 ") || answer.starts_with("worker:4 ");
    assert!(is_old, "{answer}");
    assert!(herd.end().success());
}

#[test]
fn r38_values_in_memory_survive_a_reload() {
    let scene = Scene::new("reload_state");
    let ask = "(await herder.state('counts')).increment('lives')";
    write(&scene, "app.js", &APP.replace("ASK", ask));
    let herd = run(&scene, &["--state", "counts=memory"]).start();
    foreign::wait_for(&herd, 0, 2, "ready", BOOT);
    let address = foreign::address(&herd);
    let first = ask_at(address, "count");
    assert!(first.ends_with(" 1"), "{first}");
    reload(&herd, "generation 2 is in service");
    let counted = wait::until(BOOT, "new workers count on", || {
        let answer = ask_at(address, "count");
        let (worker, count) = answer.strip_prefix("worker:")?.split_once(' ')?;
        (worker.parse::<u32>().ok()? > 2).then(|| count.parse::<u32>().ok())?
    });
    assert!(counted >= 2, "{counted}");
    assert!(herd.end().success());
}
