//! What Node programs say to their primary, and to each other by way of it.

use herder_e2e::client::get;
use herder_e2e::foreign::{BOOT, address, wait_for};
use herder_e2e::node::{Case, Cluster, ClusterSetup, Event, Primary, run};
use herder_e2e::scene::Scene;
use serde_json::{Value, json};

/// What the herd tells of the first event of this kind that `pick` takes.
fn told(cluster: &Cluster, kind: &str, pick: impl Fn(&Value) -> bool) -> Value {
    cluster.wait_for(kind, |event| match event {
        Event::Other(value) if value["event"] == kind && pick(&value) => Some(value),
        Event::Other(_)
        | Event::Ended { .. }
        | Event::Listening(_)
        | Event::Online { .. }
        | Event::Said { .. } => None,
    })
}

fn messages_reach_the_worker_that_pm2s_id_names(cases: &[Case]) {
    let scene = Scene::new("node_messages");
    for case in cases {
        let setup = ClusterSetup::new(&scene, Primary::Herder, *case, "actor.js", 2);
        let cluster = setup.start();
        let (mut one, mut two) = (cluster.actor(1), cluster.actor(2));
        let place = "return [process.env.pm_id, process.env.NODE_APP_INSTANCE];";
        assert_eq!(two.run(place), json!(["1", "1"]));
        two.run("listen();");
        let message =
            json!({"type": "process:msg", "topic": "über\n", "data": {"n": [1, null]}, "id": 1});
        one.run(&format!("process.send({message});"));
        let heard = two.run("return await hear(1);");
        assert_eq!(heard, json!([{"message": message, "handle": false}]));

        // The event has what was said, as it was said.
        let event = told(&cluster, "message", |_| true);
        assert_eq!((&event["worker"], &event["slot"]), (&json!(1), &json!(0)));
        let text = event["text"].as_str().expect("a text");
        assert_eq!(serde_json::from_str::<Value>(text).ok(), Some(message));

        // What has no address goes nowhere, and what goes to nobody is warned of once.
        one.run(
            "process.send({ type: 'process:msg', data: {} }); process.send(5);
             for (const _ of [1, 2]) process.send({ type: 'process:msg', data: {}, id: 9 });
             process.send({ type: 'process:msg', data: 'x'.repeat(5000), id: 0 });
             listen();",
        );
        let long = told(&cluster, "message", |it| {
            let text = it["text"].as_str().unwrap_or_default();
            text.contains("xxx")
        });
        assert!(long["text"].as_str().is_some_and(|it| it.len() < 1100));
        let heard = one.run("return (await hear(1))[0].message.data.length;");
        assert_eq!(heard, json!(5000), "it is shown shortened, and given whole");
        let warnings = cluster.events();
        let nobody = warnings
            .iter()
            .filter(|it| format!("{it:?}").contains("where there is nobody"));
        assert_eq!(nobody.count(), 1);
        assert_eq!(two.run("return (await hear(0)).length;"), json!(1));
        cluster.end();
    }
}

#[test]
fn messages_go_where_they_are_sent() {
    messages_reach_the_worker_that_pm2s_id_names(&Case::USUAL[..2]);
}

#[test]
#[ignore = "the other versions of Node, both ways"]
fn messages_go_where_they_are_sent_all() {
    messages_reach_the_worker_that_pm2s_id_names(&Case::USUAL[2..]);
    messages_reach_the_worker_that_pm2s_id_names(&Case::OTHERS);
}

/// A worker that does not read loses messages, and nothing else: not its connections, nor the word to leave.
#[test]
fn a_worker_that_reads_no_messages_is_not_given_up() {
    let scene = Scene::new("node_unread");
    let setup = ClusterSetup::new(&scene, Primary::Herder, Case::USUAL[2], "actor.js", 2);
    let cluster = setup.start();
    let (mut one, mut two) = (cluster.actor(1), cluster.actor(2));
    let gate = scene.directory().join("gate");
    two.start(&format!(
        "require('fs').writeSync(1, 'in the loop\\n'); while (!require('fs').existsSync({gate:?}));"
    ));
    cluster.wait_for("the worker is in its loop", |event| {
        format!("{event:?}").contains("in the loop").then_some(())
    });
    let flood = "const text = 'x'.repeat(50_000);
         const send = (id) => new Promise((sent) => process.send({ type: 'process:msg', data: text, id }, sent));
         for (let n = 0; n < 100; n += 1) await send(1);
         listen(); await send(0); await hear(1);";
    // Its last message has come back, and so all others were on their way.
    one.run(flood);
    std::fs::write(&gate, "").expect("a file");
    two.run("listen(); await hear(1);");
    one.run("process.send({ type: 'process:msg', data: 'mark', id: 1 });");
    let lost = told(&cluster, "messages_unread", |_| true);
    assert_eq!(lost["worker"], json!(2));
    assert!(lost["messages"].as_u64() > Some(10), "{lost}");
    two.run("const all = await hear(0); while (all.at(-1).message.data !== 'mark') await hear(all.length + 1);");
    cluster.end();
}

#[test]
fn people_are_not_shown_what_programs_say() {
    let scene = Scene::new("node_said");
    let herd = run(&scene, "serve.js", &["-i", "1"]).start();
    wait_for(&herd, 0, 1, "ready", BOOT);
    get(address(&herd), "/handle").expect("an answer");
    herd.signal(herder_e2e::herd::Signal::TERM);
    assert!(herd.wait_for_exit(BOOT).success());
    let lines = herd.lines();
    let shown = |text: &str| lines.iter().any(|line| line.text.contains(text));
    assert!(!shown("look") && !shown("says"), "{lines:?}");
}
