//! What all workers share, and keep.

use super::{CASES, actors, clean, code, kill_library, start};
use herder_e2e::herd::Signal;
use herder_e2e::node::Actor;
use herder_e2e::scene::Scene;
use serde_json::{Value, json};

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
