//! A proxy, as its master hears of it.

use std::net::TcpListener;

use herder_wire::control::ToMaster;
use herder_wire::gateway::ToGateway;
use herder_wire::proxy::{Backend, WorkerAddress};

use crate::herd::Herd;

/// After so many beats nothing else is to be expected.
const BEATS: u32 = 10;

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
    herd.says(&ToGateway::Backend(Box::new(Backend {
        worker,
        slot: 0,
        generation: 1,
        address,
    })));
    listener
}

/// The next news that is neither a beat nor a count.
fn news(herd: &mut Herd) -> ToMaster {
    let mut beats = 0;
    while beats < BEATS {
        match herd.hears() {
            ToMaster::Beat => beats += 1,
            ToMaster::Load { .. } => {}
            news => return news,
        }
    }
    panic!("nothing comes");
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
