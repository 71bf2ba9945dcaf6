//! Messages between workers.

use super::{CASES, actors, code, kill_library, start};
use herder_e2e::foreign::BOOT;
use herder_e2e::herd::Signal;
use herder_e2e::node::{Actor, Cluster};
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use serde_json::json;

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
