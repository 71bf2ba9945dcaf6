//! Scenarios of Node's cluster: connections and those that carry them. Node's own primary is the measure.

use herder_e2e::client::{Load, get};
use herder_e2e::foreign::{BOOT, freeze, pid_of_body};
use herder_e2e::herd::Signal;
use herder_e2e::node::{Actor, Case, Cluster, ClusterSetup, End, Primary, compare, programs};
use herder_e2e::process::descriptors;
use herder_e2e::scene::Scene;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Serves HTTP: each client learns whom it has met.
const SERVE: &str = "
    const server = http.createServer((request, response) => {
      response.setHeader('Connection', 'close');
      response.end(`pid:${process.pid} worker:${id}`);
    });
    return serve('http', server, { port: 0, host: '127.0.0.1' });";

/// How long a client waits for what never comes.
const HANGS: Duration = Duration::from_secs(5);

fn start(scene: &Scene, primary: Primary, case: Case, count: usize) -> Cluster {
    ClusterSetup::new(scene, primary, case, "actor.js", count).start()
}

fn scenario_19(cases: &[Case]) {
    let scene = Scene::new("scenario_19");
    for case in cases {
        // Node's primary says what it hears; herder only has to go on.
        for primary in Primary::BOTH {
            let cluster = start(&scene, primary, *case, 1);
            let mut actor = cluster.actor(1);
            actor.run(
                "const server = http.createServer((request, response) => {
                   if (request.url === '/give') process.send('a socket', request.socket, { keepOpen: true });
                   if (request.url === '/told') process.send('told', () => console.log('it was sent'));
                   response.setHeader('Connection', 'close');
                   response.end('served');
                 });
                 return serve('http', server, { port: 0, host: '127.0.0.1' });",
            );
            let address = cluster.address();
            for path in ["/give", "/give", "/", "/told", "/", "/", "/", "/"] {
                assert_eq!(
                    get(address, path).as_deref(),
                    Ok("served"),
                    "{path}, {primary:?}"
                );
            }
            cluster.wait_for("what comes after the sockets is sent", |event| {
                format!("{event:?}").contains("it was sent").then_some(())
            });
            // And it can still leave.
            actor.start("cluster.worker.disconnect();");
            assert_eq!(cluster.end_of(1), End::Code(0), "{primary:?}, {case:?}");
            cluster.end();
        }
    }
}

/// Six clients, of which some are on their way to a worker that does not move and is killed; how many were served.
fn served_of_six(cluster: &Cluster, patience: Duration) -> usize {
    for id in [1, 2] {
        cluster.actor(id).run(SERVE);
    }
    let stopped = cluster.wait_online(2)[0].1;
    freeze(cluster.herd(), &[stopped]);
    let load = Load::http(cluster.address(), "/").clients(6).count(6);
    let load = load.timeout(patience).worker_from(pid_of_body).start();
    load.wait_for_total(2, BOOT);
    cluster.herd().signal_to(stopped, Signal::KILL);
    let ledger = load.finish();
    ledger.complete()
}

fn scenario_26(cases: &[Case]) {
    let scene = Scene::new("scenario_26");
    for case in cases {
        let cluster = start(&scene, Primary::Herder, *case, 2);
        assert_eq!(served_of_six(&cluster, BOOT), 6, "{case:?}");
        cluster.end();
    }
}

#[test]
fn scenario_26_a_worker_is_killed_with_connections_in_flight() {
    scenario_26(&Case::USUAL);
    let scene = Scene::new("scenario_26_node");
    // One of them waits for ever.
    let cluster = start(&scene, Primary::Node, Case::USUAL[0], 2);
    assert_eq!(served_of_six(&cluster, HANGS), 5);
    cluster.end();
}

fn scenario_29(cases: &[Case]) {
    let scene = Scene::new("scenario_29");
    for case in cases {
        let cluster = start(&scene, Primary::Herder, *case, 2);
        let mut actor = cluster.actor(1);
        actor.run(SERVE);
        cluster.actor(2).run(SERVE);
        let child = actor.run(
            "return require('child_process').spawn('sleep', ['600'], { detached: true, stdio: 'inherit' }).pid;",
        );
        let child = child.as_i64().and_then(|pid| pid.try_into().ok());
        let child: i32 = child.expect("a process");
        // It has the worker's output, and not its channel.
        let held = descriptors(child).expect("it lives");
        assert!(held.values().any(|it| it.starts_with("pipe:")), "{held:?}");
        assert!(
            held.values().all(|it| !it.starts_with("socket:")),
            "{held:?}"
        );
        freeze(cluster.herd(), &[actor.pid()]);
        let load = Load::http(cluster.address(), "/").clients(6).count(6);
        let load = load.timeout(BOOT).start();
        load.wait_for_total(2, BOOT);
        cluster.herd().signal_to(actor.pid(), Signal::KILL);
        // What it had not taken does not wait for its child.
        load.finish().assert_no_failure();
        assert_eq!(cluster.end_of(1), End::Signal("SIGKILL".to_owned()));
        cluster.end();
    }
}

fn scenario_30(cases: &[Case]) {
    const LENGTH: usize = 20_000_000;
    let scene = Scene::new("scenario_30");
    for case in cases {
        compare(&scene, *case, 1, |cluster| {
            cluster.actor(1).run(&format!(
                "const body = Buffer.alloc({LENGTH}, 'x');
                 const server = http.createServer((request, response) => {{
                   response.setHeader('Connection', 'close');
                   response.end(request.url === '/large' ? body : 'small');
                 }});
                 return serve('http', server, {{ port: 0, host: '127.0.0.1' }});"
            ));
            let mut slow = TcpStream::connect(cluster.address()).expect("it listens");
            slow.set_read_timeout(Some(BOOT)).expect("a time");
            slow.write_all(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
                .expect("room");
            // The answer has begun, and nobody reads the rest of it.
            let mut all = vec![0; 1];
            slow.read_exact(&mut all).expect("an answer");
            for _ in 0..3 {
                let small = get(cluster.address(), "/small");
                assert_eq!(small.as_deref(), Ok("small"), "{case:?}");
            }
            slow.read_to_end(&mut all).expect("the rest");
            json!(all.len() > LENGTH)
        });
    }
}

fn scenario_31(cases: &[Case]) {
    let scene = Scene::new("scenario_31");
    for case in cases {
        let found = compare(&scene, *case, 2, |cluster| {
            let mut actors: Vec<Actor> = [1, 2].map(|id| cluster.actor(id)).into();
            let keys: Vec<Value> = actors
                .iter_mut()
                .map(|actor| actor.run(&serve_tls()))
                .collect();
            let port = cluster.address().port();
            let client = scene
                .program(case.node.program())
                .arg(programs().join("resume.js"))
                .arg(port.to_string())
                .start();
            let line = client.wait_for_line("what became of the session", BOOT, |line| {
                line.starts_with('{').then(|| line.to_owned())
            });
            client.end();
            json!([keys[0] == keys[1], line])
        });
        assert_eq!(found[0], true, "one key for all tickets");
        let resumed = r#"{"reused":true,"byAnother":true}"#;
        assert_eq!(found[1], resumed, "{case:?}");
    }
}

fn serve_tls() -> String {
    let folder = programs();
    format!(
        "const read = (name) => require('fs').readFileSync({folder:?} + '/' + name);
         const settings = {{ key: read('key.pem'), cert: read('cert.pem'), maxVersion: 'TLSv1.2' }};
         const server = https.createServer(settings, (request, response) => response.end(`worker:${{id}}`));
         await serve('https', server, {{ port: 0, host: '127.0.0.1' }});
         return server.getTicketKeys().toString('hex');"
    )
}

fn scenario_33(cases: &[Case]) {
    let scene = Scene::new("scenario_33");
    for case in cases {
        let port = herder_e2e::node::free_address().port();
        let found = compare(&scene, *case, 2, |cluster| {
            let listen = format!(
                "const {{ Worker }} = require('worker_threads');
                 const code = `
                   const cluster = require('cluster');
                   const {{ parentPort }} = require('worker_threads');
                   const server = require('net').createServer();
                   const say = (result) => parentPort.postMessage([cluster.isPrimary, result]);
                   server.on('error', (error) => say(error.code));
                   server.listen({port}, '127.0.0.1', () => say('listens'));`;
                 const thread = new Worker(code, {{ eval: true }});
                 return new Promise((resolve) => thread.once('message', resolve));"
            );
            let found = [1, 2].map(|id| cluster.actor(id).run(&listen));
            json!(found)
        });
        assert_eq!(found, json!([[true, "listens"], [true, "EADDRINUSE"]]));
    }
}

#[test]
fn scenario_19_a_worker_sends_sockets() {
    scenario_19(&Case::USUAL);
}

#[test]
fn scenario_29_a_child_outlives_its_worker() {
    scenario_29(&Case::USUAL);
}

#[test]
fn scenario_30_one_client_reads_slowly() {
    scenario_30(&Case::USUAL);
}

#[test]
fn scenario_31_tls_sessions() {
    scenario_31(&Case::USUAL);
}

#[test]
fn scenario_33_a_thread_that_listens() {
    scenario_33(&Case::USUAL);
}

#[test]
#[ignore = "three more versions of Node"]
fn scenarios_19_to_33_by_other_versions() {
    scenario_19(&Case::OTHERS);
    scenario_26(&Case::OTHERS);
    scenario_29(&Case::OTHERS);
    scenario_30(&Case::OTHERS);
    scenario_31(&Case::OTHERS);
    scenario_33(&Case::OTHERS);
}
