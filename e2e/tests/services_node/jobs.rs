//! What is to run again and again.

use super::{CASES, actors, clean, code, kill_library, log, start, wait_for};
use herder_e2e::foreign::BOOT;
use herder_e2e::herd::Signal;
use herder_e2e::node::{Actor, Cluster};
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;

#[test]
fn a_job_runs_on_one_worker_at_a_time_and_survives_it() {
    let scene = Scene::new("srv_jobs");
    for case in CASES {
        let options = ["--job", "tick=every 200ms", "--jobs-file", "jobs.redb"];
        let cluster = start(&scene, case, &options);
        let mut actors = actors(&cluster);
        for actor in &mut actors {
            actor.run(
                "kept.jobs = await herder.jobs();
                 kept.on = kept.jobs.on('tick', async ({ tick, attempt, signal }) => {
                   log('begin', tick.getTime(), process.pid, attempt);
                   do await new Promise((resolve) => setTimeout(resolve, 50)); while (held(tick));
                   if (!signal.aborted) log('end', tick.getTime(), process.pid);
                 });
                 await kept.on.opened;",
            );
        }
        wait_for(&scene, "ten runs", |lines| {
            (lines.len() >= 20).then_some(())
        });
        check_order(&log(&scene));
        let pid = kill_a_runner(&scene, &cluster);
        let [one, two, _] = &mut actors;
        let alive = if one.pid().to_string() == pid {
            two
        } else {
            one
        };
        let outcomes = alive.run(
            "const history = await kept.jobs.history('tick');
             if (!history.every(({ tick, ended }) => ended >= tick)) throw new Error('times are wrong');
             return [...new Set(history.map(({ outcome }) => outcome))].sort();",
        );
        let known = ["lost", "succeeded"].map(Value::from);
        let found = outcomes.as_array().expect("an array");
        assert!(known.iter().all(|one| found.contains(one)), "{outcomes}");
        outlive_the_library(&scene, &cluster, alive);
        cluster.end();
        check_order(&log(&scene));
        clean(&scene);
    }
}

/// A run goes down with its worker, and the job goes on. Returns whose pid it was.
fn kill_a_runner(scene: &Scene, cluster: &Cluster) -> String {
    let hold = scene.directory().join("hold");
    fs::write(&hold, "").expect("ours");
    let (tick, pid) = wait::until(BOOT, "one is under way", || {
        let held = fs::read_to_string(scene.directory().join("held")).ok()?;
        let (tick, pid) = held.split_once(' ')?;
        Some((tick.to_owned(), pid.to_owned()))
    });
    cluster
        .herd()
        .signal_to(pid.parse().expect("a pid"), Signal::KILL);
    fs::remove_file(hold).expect("ours");
    wait_for(scene, "the next runs", |lines| {
        let later = |line: &&Vec<String>| line[0] == "end" && line[1] > tick && line[2] != pid;
        (lines.iter().filter(later).count() >= 3).then_some(())
    });
    check_order(&log(scene));
    pid
}

/// The library may die, too: what was defined and paused stays so.
fn outlive_the_library(scene: &Scene, cluster: &Cluster, alive: &mut Actor) {
    alive.run(
        "await kept.jobs.define('later', { timing: '0 3 * * * Europe/Berlin', retries: 2, timeout: 5000 });
         await kept.jobs.pause('tick');",
    );
    kill_library(cluster);
    let list = alive.run(
        "const list = await kept.jobs.list();
         return list.map(({ name, timing, retries, timeout, paused, next }) =>
           [name, timing, retries, timeout, paused, next instanceof Date]);",
    );
    assert_eq!(
        list,
        json!([
            ["later", "0 3 * * * Europe/Berlin", 2, 5000, false, true],
            ["tick", "every 200ms", 0, 600_000, true, false]
        ])
    );
    let before = log(scene).len();
    alive.run("await kept.jobs.resume('tick');");
    wait_for(scene, "it goes on", |lines| {
        (lines.len() > before + 4).then_some(())
    });
}

/// Each run ends before the next begins, unless it was killed.
#[track_caller]
fn check_order(lines: &[Vec<String>]) {
    let mut running: Option<&[String]> = None;
    for line in lines {
        match line[0].as_str() {
            "begin" => {
                // Nobody was left to say that it ended.
                let is_dead = running.is_none_or(|before| before[2] != line[2]);
                assert!(is_dead, "{line:?} begins within {running:?}");
                running = Some(line);
            }
            _ => running = None,
        }
    }
    let ticks: Vec<&String> = lines
        .iter()
        .filter(|line| line[0] == "begin")
        .map(|line| &line[1])
        .collect();
    let different: BTreeSet<&&String> = ticks.iter().collect();
    assert_eq!(ticks.len(), different.len(), "a tick runs twice: {lines:?}");
}

#[test]
fn a_job_for_all_runs_on_each_worker_and_a_bad_run_is_told() {
    let scene = Scene::new("srv_all");
    for case in CASES {
        let cluster = start(&scene, case, &["--bus"]);
        let mut actors = actors(&cluster);
        for actor in &mut actors {
            actor.run(
                "kept.jobs = await herder.jobs();
                 await kept.jobs.on('all', ({ tick }) => log('all', tick.getTime(), id)).opened;",
            );
        }
        let [one, two, _] = &mut actors;
        one.run("await kept.jobs.define('all', { timing: 'every 200ms', target: 'all' });");
        wait_for(&scene, "five ticks on three workers", |lines| {
            let mut ticks: Vec<(&String, &String)> =
                lines.iter().map(|line| (&line[1], &line[2])).collect();
            ticks.sort();
            ticks.dedup();
            let each = ticks.chunk_by(|a, b| a.0 == b.0);
            (each.filter(|tick| tick.len() == 3).count() >= 5).then_some(())
        });
        one.run("await kept.jobs.remove('all');");
        let listed = one.run("return (await kept.jobs.list()).length;");
        assert_eq!(listed, json!(0));

        run_badly(one, two);
        assert_eq!(
            one.run(&code("await kept.jobs.runNow('unknown');")),
            json!("no_job")
        );
        assert_eq!(
            one.run(&code("await kept.jobs.define('x', 'every day');")),
            json!("bad_arguments")
        );
        // Whoever is told to leave finishes what it runs, and nobody is kept from leaving.
        one.run(
            "await kept.jobs.define('long', 'every 1h');
             await kept.jobs.on('long', async () => {
               log('long'); await new Promise((resolve) => setTimeout(resolve, 500)); log('finished');
             }).opened;
             await kept.jobs.runNow('long');",
        );
        wait_for(&scene, "it runs", |lines| {
            lines.iter().any(|line| line[0] == "long").then_some(())
        });
        cluster.end();
        assert_eq!(
            log(&scene).last().map(|line| line[0].clone()).as_deref(),
            Some("finished")
        );
        clean(&scene);
    }
}

/// An error is a failure, and what takes too long is aborted: the second worker reads what became of the runs of
/// the first one.
fn run_badly(one: &mut Actor, two: &mut Actor) {
    one.run(
        "await kept.jobs.define('bad', { timing: 'every 1h', retries: 1 });
         await kept.jobs.on('bad', ({ attempt }) => { throw new Error(`no. ${attempt}`); }).opened;
         await kept.jobs.runNow('bad');",
    );
    let told = "const told = await until(async () => {
          const told = await kept.jobs.history(NAME); return told.length === COUNT && told;
        });
        return told.map(({ outcome, reason, attempt, retried }) => [outcome, reason, attempt, retried]);";
    let told = |name: &str, count: &str| {
        told.replace("NAME", &format!("'{name}'"))
            .replace("COUNT", count)
    };
    assert_eq!(
        two.run(&told("bad", "2")),
        json!([["failed", "no. 2", 2, false], ["failed", "no. 1", 1, true]])
    );
    one.run(
        "await kept.jobs.define('slow', { timing: 'every 1h', timeout: 100 });
         await kept.jobs.on('slow', ({ signal }) => new Promise((resolve, reject) => {
           signal.addEventListener('abort', () => { kept.aborted = signal.reason.kind; reject(signal.reason); });
         })).opened;
         await kept.jobs.runNow('slow'); await until(() => kept.aborted);",
    );
    assert_eq!(one.run("return kept.aborted;"), json!("cancelled"));
    assert_eq!(two.run(&told("slow", "1"))[0][0], json!("timed-out"));
}
