//! A proxy, as its master hears of it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use herder_wire::control::ToMaster;
use herder_wire::gateway::ToGateway;
use herder_wire::proxy::{Backend, WorkerAddress};

use crate::herd::{Herd, encoded};

/// After so many beats nothing else is to be expected.
const BEATS: u32 = 10;

/// Far less than a client would wait for a worker.
const SOON: Duration = Duration::from_secs(30);

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 204 No Content\r\n\r\n";
/// As [`OK`], for who does not keep connections.
const LAST: &str = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";

/// Says to a process that it is the one in which something happens, and where its workers are.
const WORKERS: &str = "HERDER_TEST_WORKERS";

/// A proxy whose clients would wait for a worker for as long as it takes.
fn proxy() -> Herd {
    let settings = r#"{"app": "test", "wait_timeout_millis": 3600000}"#;
    let mut herd = Herd::told(ToGateway::Proxy(settings.into()));
    herd.boot();
    herd
}

/// Introduces a worker, and gives the listener that it has.
fn introduce(herd: &mut Herd, worker: u64) -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = WorkerAddress::Tcp(listener.local_addr().unwrap());
    introduce_at(herd, worker, address);
    listener
}

fn introduce_at(herd: &mut Herd, worker: u64, address: WorkerAddress) {
    herd.says(&ToGateway::Backend(Box::new(Backend {
        worker,
        slot: 0,
        generation: 1,
        address,
    })));
}

/// A worker that gives everybody the same answer.
fn admit(herd: &mut Herd, worker: u64) {
    introduce_at(herd, worker, WorkerAddress::Tcp(answering(OK)));
    herd.says(&ToGateway::Admit { worker });
}

/// Where everybody gets this answer.
fn answering(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || {
                let mut stream = BufReader::new(stream.unwrap());
                while !head(&mut stream).is_empty() {
                    stream.get_mut().write_all(answer.as_bytes()).unwrap();
                    if answer == LAST {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// What comes up to an empty line, or the end.
fn head(stream: &mut BufReader<TcpStream>) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).unwrap_or(0) > 0 {}
    head
}

fn client(herd: &Herd) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(herd.address()).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    BufReader::new(stream)
}

/// What is answered to this.
fn ask(client: &mut BufReader<TcpStream>, request: &str) -> String {
    client.get_mut().write_all(request.as_bytes()).unwrap();
    head(client)
}

/// As a master does whose herd stops in order.
fn stop(herd: &mut Herd, worker: u64) {
    let within_millis = 60_000;
    herd.says(&ToGateway::CloseListeners { within_millis });
    herd.says(&ToGateway::Withdraw { worker });
}

/// The next news that is neither a beat nor a count.
fn news(herd: &mut Herd) -> ToMaster {
    let mut beats = 0;
    while beats < BEATS {
        let news = herd.hears();
        if news == ToMaster::Beat {
            beats += 1;
        } else if !matches!(news, ToMaster::Load { .. }) {
            return news;
        }
    }
    panic!("nothing comes");
}

/// Nothing is said of a worker for so many beats: a request is open.
fn is_silent(herd: &mut Herd, beats: u32) {
    let mut heard = 0;
    while heard < beats {
        let said = herd.hears();
        if said == ToMaster::Beat {
            heard += 1;
        } else {
            assert!(matches!(said, ToMaster::Load { .. }), "{said:?}");
        }
    }
}

#[test]
fn a_worker_that_was_never_let_in_leaves_at_once() {
    let mut herd = proxy();
    let _listener = introduce(&mut herd, 1);
    // As a proxy hears of it that is started while a worker is held.
    herd.says(&ToGateway::Hold { worker: 1 });
    herd.says(&ToGateway::Withdraw { worker: 1 });
    assert_eq!(news(&mut herd), ToMaster::Withdrawn { worker: 1 });
}

/// What one says of a worker that it had let go before is not taken for what it says later.
#[test]
fn who_is_let_in_again_and_has_a_request_does_not_count_as_drained() {
    let mut herd = proxy();
    let listener = introduce(&mut herd, 1);
    herd.says(&ToGateway::Admit { worker: 1 });
    // At once, so that nothing is heard of the worker in between.
    let orders = [
        ToGateway::Hold { worker: 1 },
        ToGateway::Admit { worker: 1 },
    ];
    herd.says_raw(&orders.each_ref().map(encoded).concat(), &[]);
    let mut waiting = client(&herd);
    waiting.get_mut().write_all(GET.as_bytes()).unwrap();
    let (stream, _) = listener.accept().unwrap();
    let mut worker = BufReader::new(stream);
    assert!(head(&mut worker).starts_with("GET / "));
    herd.says(&ToGateway::Hold { worker: 1 });
    herd.says(&ToGateway::WithdrawAgain {
        worker: 1,
        epoch: 7,
    });
    // Two beats: by then it would have been said.
    is_silent(&mut herd, 2);
    worker.get_mut().write_all(OK.as_bytes()).unwrap();
    assert!(head(&mut waiting).starts_with("HTTP/1.1 204 "));
    let answer = ToMaster::WithdrawnAgain {
        worker: 1,
        epoch: 7,
    };
    assert_eq!(news(&mut herd), answer);
}

/// A proxy that leaves while others stay: its clients are served to the end, and so long it answers for the
/// workers.
#[test]
fn a_proxy_that_leaves_still_answers_for_its_workers() {
    let mut herd = proxy();
    let listener = introduce(&mut herd, 1);
    herd.says(&ToGateway::Admit { worker: 1 });
    let mut waiting = client(&herd);
    waiting.get_mut().write_all(GET.as_bytes()).unwrap();
    let (stream, _) = listener.accept().unwrap();
    let mut worker = BufReader::new(stream);
    assert!(head(&mut worker).starts_with("GET / "));
    herd.says(&ToGateway::Drain {
        grace_millis: 600_000,
    });
    herd.says(&ToGateway::Withdraw { worker: 1 });
    is_silent(&mut herd, 3);
    worker.get_mut().write_all(OK.as_bytes()).unwrap();
    assert!(head(&mut waiting).starts_with("HTTP/1.1 204 "));
    drop(waiting);
    assert_eq!(news(&mut herd), ToMaster::Withdrawn { worker: 1 });
    assert_eq!(herd.ends(), 0);
}

#[test]
fn a_request_that_comes_while_the_herd_stops_is_still_answered() {
    let mut herd = proxy();
    admit(&mut herd, 1);
    let mut late = client(&herd);
    assert!(ask(&mut late, GET).starts_with("HTTP/1.1 204 "));
    stop(&mut herd, 1);
    // Both orders were followed by then.
    thread::sleep(Duration::from_millis(300));
    let answer = ask(&mut late, GET);
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    assert!(answer.contains("Connection: close\r\n"), "{answer}");
    // Who is told to go goes.
    drop(late);
    assert_eq!(news(&mut herd), ToMaster::Withdrawn { worker: 1 });
    assert_eq!(news(&mut herd), ToMaster::Empty);
}

#[test]
fn a_worker_is_not_kept_for_clients_that_are_not_there() {
    let mut herd = proxy();
    admit(&mut herd, 1);
    let mut gone = client(&herd);
    assert!(ask(&mut gone, GET).starts_with("HTTP/1.1 204 "));
    drop(gone);
    let begun = Instant::now();
    stop(&mut herd, 1);
    assert_eq!(news(&mut herd), ToMaster::Withdrawn { worker: 1 });
    assert_eq!(news(&mut herd), ToMaster::Empty);
    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[test]
fn a_worker_that_dies_while_the_herd_stops_is_not_told_of_twice() {
    let mut herd = proxy();
    admit(&mut herd, 1);
    admit(&mut herd, 2);
    let mut idle = client(&herd);
    assert!(ask(&mut idle, GET).starts_with("HTTP/1.1 204 "));
    stop(&mut herd, 1);
    herd.says(&ToGateway::Withdraw { worker: 2 });
    herd.says(&ToGateway::Gone { worker: 1 });
    assert_eq!(news(&mut herd), ToMaster::Withdrawn { worker: 2 });
}

#[test]
fn nobody_waits_for_a_worker_while_the_herd_stops() {
    let mut herd = proxy();
    let mut waiting = client(&herd);
    waiting.get_mut().write_all(GET.as_bytes()).unwrap();
    admit(&mut herd, 1);
    assert!(head(&mut waiting).starts_with("HTTP/1.1 204 "));
    herd.says(&ToGateway::Withdraw { worker: 1 });
    assert_eq!(news(&mut herd), ToMaster::Withdrawn { worker: 1 });
    // One waits already, another one has said half of what it wants.
    let mut slow = client(&herd);
    waiting.get_mut().write_all(GET.as_bytes()).unwrap();
    slow.get_mut().write_all(&GET.as_bytes()[..9]).unwrap();
    thread::sleep(Duration::from_millis(300));
    let begun = Instant::now();
    stop(&mut herd, 1);
    let mut told = String::new();
    waiting.read_to_string(&mut told).unwrap();
    assert!(told.starts_with("HTTP/1.1 503 "), "{told}");
    let told = ask(&mut slow, &GET[9..]);
    assert!(told.starts_with("HTTP/1.1 503 "), "{told}");
    assert!(begun.elapsed() < SOON);
}

/// What the test below runs in a process of its own, which has few descriptors.
#[test]
fn a_process_runs_out_of_descriptors() {
    let Ok(workers) = std::env::var(WORKERS) else {
        return;
    };
    let mut herd = proxy();
    for (worker, address) in (1..).zip(workers.split(' ')) {
        let address = WorkerAddress::Tcp(address.parse().unwrap());
        introduce_at(&mut herd, worker, address);
        herd.says(&ToGateway::Admit { worker });
    }
    let mut client = client(&herd);
    assert!(ask(&mut client, GET).starts_with("HTTP/1.1 204 "));
    let (mut taken, mut refused) = (Vec::new(), 0);
    let begun = Instant::now();
    while refused < 20 {
        while let Ok(file) = File::open("/dev/null") {
            taken.push(file);
        }
        let answer = ask(&mut client, GET);
        if answer.starts_with("HTTP/1.1 204 ") {
            // The gateway closed its last connection only now.
            assert!(begun.elapsed() < SOON);
            continue;
        }
        refused += 1;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.contains("Retry-After: "), "{answer}");
        let length = answer.split("Content-Length: ").nth(1).unwrap();
        let length = length.lines().next().unwrap().parse().unwrap();
        let mut page = vec![0; length];
        client.read_exact(&mut page).unwrap();
        let page = String::from_utf8(page).unwrap();
        assert!(
            page.contains("the gateway has no descriptor left"),
            "{page}"
        );
    }
    drop(taken);
    for _ in 0..4 {
        assert!(ask(&mut client, GET).starts_with("HTTP/1.1 204 "));
    }
    // Nobody was left out for it.
    drop(client);
    herd.says(&ToGateway::Withdraw { worker: 1 });
    assert_eq!(news(&mut herd), ToMaster::Withdrawn { worker: 1 });
    println!("all is well");
}

#[test]
fn a_gateway_without_descriptors_says_so_and_blames_no_worker() {
    let own = std::env::current_exe().unwrap();
    let name = "proxy::a_process_runs_out_of_descriptors";
    let workers = [LAST, LAST].map(|answer| answering(answer).to_string());
    let child = Command::new("sh")
        .args(["-c", "ulimit -n 200 && exec \"$0\" \"$@\""])
        .arg(own)
        .args(["--exact", name, "--nocapture"])
        .env(WORKERS, workers.join(" "))
        .output()
        .unwrap();
    let said = [child.stdout, child.stderr].map(|it| String::from_utf8(it).unwrap());
    assert!(said[0].contains("all is well"), "{said:?}");
    let line = "herder: gateway of test: the gateway has no descriptor left";
    assert_eq!(said[1].matches(line).count(), 1, "{said:?}");
}
