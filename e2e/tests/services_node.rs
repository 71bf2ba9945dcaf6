//! State, messages and jobs of Node programs: `herder run --state …`, and `sdk/node`.

use herder_e2e::foreign::BOOT;
use herder_e2e::herd::Signal;
use herder_e2e::node::{Actor, Case, Cluster, ClusterSetup, Primary};
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;

/// Node 20 and 24.
const CASES: [Case; 2] = [Case::USUAL[0], Case::USUAL[2]];

fn start(scene: &Scene, case: Case, options: &[&str]) -> Cluster {
    let setup = ClusterSetup::new(scene, Primary::Herder, case, "services.js", 3);
    let setup = setup.directory(scene.directory());
    setup.options(options).start()
}

fn actors(cluster: &Cluster) -> [Actor; 3] {
    [1, 2, 3].map(|id| cluster.actor(id))
}

fn library(cluster: &Cluster) -> Option<i32> {
    let found = cluster.herd().titled("herder: library services/herder");
    found.first().map(|process| process.pid)
}

/// Kills the built-in library, and returns when the next one lives.
#[track_caller]
fn kill_library(cluster: &Cluster) {
    let before = library(cluster).expect("it lives");
    cluster.herd().signal_to(before, Signal::KILL);
    wait::until(BOOT, "another library", || {
        library(cluster).filter(|pid| *pid != before)
    });
}

/// The lines of the common file, each split into words.
fn log(scene: &Scene) -> Vec<Vec<String>> {
    let text = fs::read_to_string(scene.directory().join("log")).unwrap_or_default();
    let words = |line: &str| line.split(' ').map(str::to_owned).collect();
    text.lines().map(words).collect()
}

/// Waits until the common file has what `pick` looks for.
#[track_caller]
fn wait_for<T>(scene: &Scene, what: &str, pick: impl Fn(&[Vec<String>]) -> Option<T>) -> T {
    wait::until(BOOT, what, || pick(&log(scene)))
}

fn clean(scene: &Scene) {
    for name in ["held", "log", "s.redb", "jobs.redb"] {
        let _not_made = fs::remove_file(scene.directory().join(name));
    }
}

/// The code of the error that this ends with.
fn code(body: &str) -> String {
    format!("try {{ {body} }} catch (error) {{ return error.code ?? error.kind; }}")
}

#[test]
fn state_is_common_to_all_and_outlives_workers_and_library() {
    let scene = Scene::new("srv_state");
    for case in CASES {
        let cluster = start(&scene, case, &["--state", "s=file:s.redb"]);
        let [mut one, mut two, mut three] = actors(&cluster);
        for actor in [&mut one, &mut two, &mut three] {
            actor.run("kept.s = await herder.state('s');");
        }
        one.run("await kept.s.set('user', { name: 'Zoë', roles: [1, null] });");
        let read = "return await kept.s.get('user');";
        for actor in [&mut two, &mut three] {
            assert_eq!(actor.run(read), json!({"name": "Zoë", "roles": [1, null]}));
            actor.run("await kept.s.increment('n', 5);");
        }
        assert_eq!(one.run("return await kept.s.increment('n');"), json!(11));
        one.run("await kept.s.add('n', 3); await kept.s.add('n', -3);");
        bytes_stay_bytes(&mut one, &mut two);
        conditions_hold(&mut one, &mut two);
        let watch = "kept.seen = []; (async () => {
            for await (const { key, value, deleted } of kept.s.watch('w/')) {
              kept.seen.push([key, deleted ? 'deleted' : value]);
            }
        })(); await until(() => kept.seen.length === 1);";
        two.run("await kept.s.set('w/a', 1);");
        three.run(watch);
        two.run("await kept.s.set('w/b', 'x'); await kept.s.delete('w/a');");
        let seen = three.run("await until(() => kept.seen.length === 3); return kept.seen;");
        assert_eq!(seen, json!([["w/a", 1], ["w/b", "x"], ["w/a", "deleted"]]));

        // What a worker holds is free when it is dead; what it wrote is there.
        let lease =
            "kept.lease = await kept.s.lease('only', { ttl: 60_000 }); return kept.lease?.token;";
        let token = two.run(lease).as_u64().expect("a token");
        assert_eq!(three.run(lease), Value::Null);
        let waiting = three.start(
            "kept.lease = await kept.s.lease('only', { wait: true }); return kept.lease.token;",
        );
        cluster.herd().signal_to(two.pid(), Signal::KILL);
        let next = three.result_of(waiting).as_u64().expect("a token");
        assert!(next > token, "{next} after {token}");
        let mut four = cluster.actor(4);
        four.run("kept.s = await herder.state('s');");
        assert_eq!(four.run(read)["name"], json!("Zoë"));

        // So it is when the library has been killed, and the lease is still held. (How long a call waits for the
        // next library is another question.)
        kill_library(&cluster);
        let read = "for (;;) try {
            return await kept.s.get('user');
        } catch (error) {
            if (error.executed !== 'no') throw error;
        }";
        assert_eq!(four.run(read)["name"], json!("Zoë"));
        assert_eq!(one.run("return await kept.s.increment('n');"), json!(12));
        three.run("await kept.s.set('w/c', 2); await until(() => kept.seen.some(([key]) => key === 'w/c'));");
        cluster.end();

        // And in the next herd.
        let cluster = start(&scene, case, &["--state", "s=file:s.redb"]);
        let mut one = cluster.actor(1);
        let read = "kept.s = await herder.state('s'); return await kept.s.get('n');";
        assert_eq!(one.run(read), json!(12));
        cluster.end();
        clean(&scene);
    }
}

#[track_caller]
fn bytes_stay_bytes(one: &mut Actor, two: &mut Actor) {
    one.run(
        "await kept.s.set('b/1', Buffer.from([0, 255, 254])); await kept.s.set('b/2', Buffer.from('12'));
         await kept.s.set('b/3', Buffer.alloc(0)); await kept.s.set('b/4', { n: 2n ** 60n });
         await kept.s.set('b/5', { in: [new Uint8Array([1, 2])] });",
    );
    let read = "const found = [];
        for await (const { key, value } of kept.s.scan('b/', { page: 2 })) found.push([key, value]);
        return found.map(([key, value]) => [key, Buffer.isBuffer(value) ? value.toString('hex') : value.n
          ? String(value.n) : value.in[0].toString('hex')]);";
    let expected = json!([
        ["b/1", "00fffe"],
        ["b/2", "3132"],
        ["b/3", ""],
        ["b/4", "1152921504606846976"],
        ["b/5", "0102"]
    ]);
    assert_eq!(two.run(read), expected);
    let raw = "return (await kept.s.getBuffer('b/1')).toString('hex');";
    assert_eq!(two.run(raw), json!("00fffe"));
}

#[track_caller]
fn conditions_hold(one: &mut Actor, two: &mut Actor) {
    assert_eq!(one.run("return await kept.s.get('none');"), Value::Null);
    let revision = one.run(
        "await kept.s.set('c', 1); const { revision, ttl } = await kept.s.getEntry('c');
         if (ttl !== null) throw new Error(`it lives for ${ttl}`); return revision;",
    );
    let over = format!("return typeof await kept.s.set('c', 2, {{ ifRevision: {revision} }});");
    assert_eq!(two.run(&over), json!("number"));
    let conflict = one.run(&code(&over));
    assert_eq!(conflict, json!("conflict"));
    assert_eq!(
        one.run(&code("await kept.s.set('c', 3, { ifRevision: 0 });")),
        json!("conflict")
    );
    let short =
        "await kept.s.set('t', 1, { ttl: 60_000 }); const { ttl } = await kept.s.getEntry('t');
        return ttl > 50_000 && ttl <= 60_000;";
    assert_eq!(one.run(short), json!(true));
    let once = "return await kept.s.once('o', { ttl: 60_000 });";
    assert_eq!((one.run(once), two.run(once)), (json!(true), json!(false)));
    let limit = "return await kept.s.limit('l', { count: 2, per: 60_000 });";
    assert_eq!(
        one.run(limit),
        json!({"allowed": true, "left": 1, "retryAfter": 0})
    );
    two.run(limit);
    let denied = one.run(limit);
    assert_eq!(
        (&denied["allowed"], &denied["left"]),
        (&json!(false), &json!(0))
    );
    assert!(denied["retryAfter"].as_u64() > Some(0), "{denied}");
    let missing = code("await (await herder.state('other')).get('a');");
    assert_eq!(one.run(&missing), json!("bad_arguments"));
}

#[test]
fn messages_go_where_they_are_sent() {
    let scene = Scene::new("srv_bus");
    for case in CASES {
        let cluster = start(&scene, case, &["--bus"]);
        let mut actors = actors(&cluster);
        for actor in &mut actors {
            actor.run(
                "kept.bus = await herder.bus(); kept.heard = [];
                 kept.on = kept.bus.on('news', (payload, { from, request }) => {
                   if (request === null) return void kept.heard.push([payload, from.slot]);
                   return `${payload} for ${id}`;
                 });
                 await kept.on.opened;",
            );
        }
        let [one, two, three] = &mut actors;
        let sent = one.run("return (await kept.bus.broadcast('news', { a: 1 })).receivers;");
        assert_eq!(sent, json!(3));
        let heard = "await until(() => kept.heard.length >= 1); return kept.heard.splice(0);";
        for actor in [&mut *one, &mut *two, &mut *three] {
            assert_eq!(actor.run(heard), json!([[{"a": 1}, 0]]));
        }
        two.run("await kept.bus.send({ slot: 2 }, 'news', 'x');");
        assert_eq!(three.run(heard), json!([["x", 1]]));
        let random = one.run(
            "let sum = 0;
             for (let n = 0; n < 60; n++) sum += (await kept.bus.send('random', 'news', n)).receivers;
             return sum;",
        );
        assert_eq!(random, json!(60));
        // The sender only if it is the only one.
        let counts = [&mut *two, &mut *three].map(|actor| {
            let count =
                actor.run("await until(() => kept.heard.length); return kept.heard.length;");
            count.as_u64().expect("a number")
        });
        wait::until(BOOT, "all have come", || {
            let count = |actor: &mut Actor| actor.run("return kept.heard.length;").as_u64();
            (count(two)? + count(three)? == 60).then_some(())
        });
        assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
        let asked = one.run("return await kept.bus.request({ worker: 3 }, 'news', 'this');");
        assert_eq!(asked, json!("this for 3"));
        for nobody in [
            "await kept.bus.send('all', 'silence', 1);",
            "await kept.bus.request({ slot: 7 }, 'news', 1);",
            "await kept.bus.send({ library: 'core' }, 'news', 1);",
        ] {
            assert_eq!(one.run(&code(nobody)), json!("no_receiver"), "{nobody}");
        }
        lose_an_answer(&cluster, one, two);
        // Subscriptions outlive the library.
        kill_library(&cluster);
        one.run(
            "await until(() => kept.bus.send({ slot: 2 }, 'news', 'again').then(() => true, () => false));",
        );
        three.run("await until(() => kept.heard.some(([payload]) => payload === 'again'));");
        cluster.end();
    }
}

/// The second worker dies before it answers the first one.
fn lose_an_answer(cluster: &Cluster, one: &mut Actor, two: &mut Actor) {
    two.run("kept.bus.on('mute', () => new Promise(() => {}));");
    wait::until(BOOT, "it listens", || {
        let sent = one.run(&code(
            "return (await kept.bus.send('others', 'mute')).receivers;",
        ));
        (sent == json!(1)).then_some(())
    });
    let waiting = one.start(&code("await kept.bus.request({ slot: 1 }, 'mute', 1);"));
    one.run("await new Promise((resolve) => setTimeout(resolve, 50));");
    cluster.herd().signal_to(two.pid(), Signal::KILL);
    assert_eq!(one.result_of(waiting), json!("no_answer"));
}

#[test]
fn eggs_messenger_reaches_workers() {
    let scene = Scene::new("srv_egg");
    for case in CASES {
        let cluster = start(&scene, case, &["--bus"]);
        let mut actors = actors(&cluster);
        for actor in &mut actors {
            actor.run(
                "kept.heard = []; let ready = false;
                 messenger.once('egg-ready', () => { ready = true; });
                 messenger.on('act', (data) => { kept.heard.push(data); });
                 messenger.on('error', (error) => { kept.error = error.code; });
                 await messenger.listening(); await until(() => ready);",
            );
        }
        let [one, two, three] = &mut actors;
        one.run("messenger.sendToApp('act', 'app'); messenger.broadcast('act', { all: true });");
        let heard = "await until(() => kept.heard.length === 2); return kept.heard.splice(0);";
        for actor in [&mut *one, &mut *two, &mut *three] {
            assert_eq!(actor.run(heard), json!(["app", {"all": true}]));
        }
        let to = format!("await messenger.sendTo({}, 'act', 3);", two.pid());
        one.run(&to);
        let next = "await until(() => kept.heard.length); return kept.heard.splice(0);";
        assert_eq!(two.run(next), json!([3]));
        one.run("await messenger.sendRandom('act', 4);");
        wait::until(BOOT, "one of the others hears it", || {
            let count = |actor: &mut Actor| actor.run("return kept.heard.length;").as_u64();
            (count(two)? + count(three)? == 1).then_some(())
        });
        // There is no agent; Egg would have lost it.
        let lost = one.run(
            "await messenger.sendToAgent('act').catch(() => {}); await until(() => kept.error); return kept.error;",
        );
        assert_eq!(lost, json!("no_receiver"));
        cluster.end();
    }
}

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
