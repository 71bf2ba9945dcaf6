//! Files of JavaScript.

use std::time::{Duration, Instant};

use super::{Scene, told};
use crate::{Loaded, Options, load};

fn read(scene: &Scene, name: &str, text: &str) -> Result<Loaded, Vec<String>> {
    scene.write("app.js", "");
    let path = scene.write(name, text);
    load(&path, &Options::default()).map_err(told)
}

#[test]
fn what_a_file_exports_is_read() {
    let scene = Scene::new("exports");
    for (name, text) in [
        (
            "a.config.js",
            "console.log('noise'); module.exports = {apps: [{name: 'x', script: 'app.js', env: {A: process.pid}}]}",
        ),
        (
            "b.config.cjs",
            "module.exports = [{name: 'x', script: `${'app'}.js`}]",
        ),
        (
            "c.config.mjs",
            "export default {apps: [{name: 'x', script: 'app.js'}]}",
        ),
        (
            "d.config.mjs",
            "export const apps = [{name: 'x', script: 'app.js'}]",
        ),
        (
            "e.config.js",
            "module.exports = async () => ({name: 'x', script: 'app.js'})",
        ),
        (
            "f.config.js",
            "module.exports = {apps: {x: {script: 'app.js'}}}",
        ),
        (
            "g.config.js",
            "exports.apps = [{name: 'x', script: 'app.js'}]; setInterval(() => {}, 1000)",
        ),
    ] {
        let loaded = read(&scene, name, text).unwrap_or_else(|wrong| panic!("{name}: {wrong:#?}"));
        assert_eq!(loaded.apps[0].name, "x", "{name}");
        assert_eq!(
            loaded.apps[0].script,
            Some(scene.path().join("app.js")),
            "{name}"
        );
    }
}

#[test]
fn what_cannot_be_run_is_told_with_its_line() {
    let scene = Scene::new("broken");
    for (name, text, place, part) in [
        (
            "a.config.js",
            "module.exports = {\n  apps: [}\n",
            "a.config.js:2",
            "SyntaxError",
        ),
        (
            "b.config.js",
            "\n\nnoSuchThing()",
            "b.config.js:3",
            "noSuchThing is not defined",
        ),
        (
            "c.config.js",
            "process.exit(3)",
            "c.config.js",
            "exit status: 3",
        ),
        (
            "d.config.js",
            "process.exit(0)",
            "d.config.js",
            "before it exported",
        ),
        (
            "e.config.js",
            "process.kill(process.pid, 'SIGKILL')",
            "e.config.js",
            "signal: 9",
        ),
        (
            "f.config.js",
            "module.exports = 5",
            "f.config.js",
            "a number, where apps should be",
        ),
        (
            "g.config.js",
            "module.exports = 'x'.repeat(5 << 20)",
            "g.config.js",
            "4 MiB",
        ),
        (
            "h.config.js",
            "require('./missing')",
            "h.config.js:1",
            "Cannot find module",
        ),
    ] {
        let wrong = read(&scene, name, text).unwrap_err();
        let (told, _) = wrong[0].split_once(": ").unwrap();
        assert!(told.contains(place), "{name}: {wrong:?}");
        assert!(wrong[0].contains(part), "{name}: {wrong:?}");
    }
}

#[test]
fn a_file_that_does_not_end_is_ended_with_all_it_started() {
    let scene = Scene::new("endless");
    let path = scene.write(
        "a.config.js",
        "const child = require('child_process').spawn('sleep', ['1000'], {stdio: 'inherit'});\n\
         require('fs').writeFileSync(__dirname + '/pid', String(child.pid)); for (;;) {}",
    );
    let begun = Instant::now();
    let wrong = crate::javascript::within(&path, Duration::from_secs(2)).unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(9));
    assert!(wrong.message.contains("longer than 2 seconds"), "{wrong:?}");
    let pid = std::fs::read_to_string(scene.path().join("pid")).unwrap();
    let stat = format!("/proc/{pid}/stat");
    let until = Instant::now() + Duration::from_secs(5);
    let is_alive = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
    while is_alive() && Instant::now() < until {
        std::thread::yield_now();
    }
    assert!(!is_alive(), "what it started lives on");
}
