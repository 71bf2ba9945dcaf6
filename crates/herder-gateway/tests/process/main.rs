//! A whole gateway under a master that does what a test says: its clients speak lines.

#[cfg(test)]
mod herd;
#[cfg(test)]
mod proxy;

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use herder_sys::fd;
use herder_wire::control::ToMaster;
use herder_wire::gateway::{self, GatewayConfig, ToGateway};
use herder_wire::link::FromWorker;

use herd::{Herd, config, encoded};

#[test]
fn a_life() {
    let mut herd = Herd::start(config());
    herd.boot();
    let worker = herd.worker(1);
    let mut client = herd.connect();
    client.say("hello");
    assert_eq!(herd.hears(), ToMaster::Dispatched { job: 1, worker: 1 });
    assert_eq!(worker.does_next(), "hello");
    assert_eq!(client.hears(), "hello back");

    let within_millis = 60_000;
    herd.says(&ToGateway::CloseListeners { within_millis });
    assert_eq!(herd.hears(), ToMaster::Empty);
    assert_eq!(client.hears(), "", "nothing is outstanding");
    drop(client);
    herd.says(&ToGateway::Withdraw { worker: 1 });
    assert_eq!(herd.hears(), ToMaster::Withdrawn { worker: 1 });
    let grace_millis = 60_000;
    herd.says(&ToGateway::Drain { grace_millis });
    assert_eq!(herd.ends(), 0);
    assert_eq!(worker.hears(), None, "the link ends with the gateway");
}

#[test]
fn clients_are_let_in_when_the_master_says_so() {
    let mut herd = Herd::start(config());
    let (version, capabilities) = (gateway::VERSION, 0);
    herd.greeted();
    herd.says(&ToGateway::Welcome {
        version,
        capabilities,
    });
    herd.configure();
    assert_eq!(herd.hears(), ToMaster::Ready);
    let worker = herd.worker(1);
    let mut client = herd.connect();
    client.say("early");
    // The next news would be of the job. That of the withdrawal comes first.
    herd.says(&ToGateway::Withdraw { worker: 9 });
    assert_eq!(herd.hears(), ToMaster::Withdrawn { worker: 9 });
    herd.says(&ToGateway::Open);
    assert_eq!(herd.hears(), ToMaster::Dispatched { job: 1, worker: 1 });
    assert_eq!(worker.does_next(), "early");
    assert_eq!(client.hears(), "early back");
    // A second time it changes nothing.
    herd.says(&ToGateway::Open);
    client.say("again");
    assert_eq!(worker.does_next(), "again");
}

#[test]
fn a_client_that_does_not_go_is_cut_off_when_the_time_is_over() {
    let mut herd = Herd::start(GatewayConfig {
        close_timeout_millis: 50,
        ..config()
    });
    herd.boot();
    let worker = herd.worker(1);
    let mut client = herd.connect();
    client.say("endless");
    let job = worker.job().0;
    worker.says(&FromWorker::Started { job });
    let grace_millis = 60_000;
    herd.says(&ToGateway::Drain { grace_millis });
    assert_eq!(herd.ends(), 0);
    assert_eq!(client.hears(), "");
}

#[test]
fn without_a_master_there_is_no_gateway() {
    let mut herd = Herd::start(config());
    herd.boot();
    let mut client = herd.connect();
    client.say("hello");
    let gone = Instant::now();
    assert_eq!(herd.loses_its_master(), 1);
    assert!(gone.elapsed() < Duration::from_secs(10), "promptly");
    assert_eq!(client.hears(), "");
}

#[test]
fn a_master_that_ends_at_once_is_no_reason_to_stay() {
    let herd = Herd::start(config());
    assert_eq!(herd.loses_its_master(), 1);
}

#[test]
fn a_master_that_breaks_the_protocol_is_left() {
    let nonsense = |herd: &mut Herd| herd.says_raw(&[0xff; 64], &[]);
    let half = |herd: &mut Herd| herd.says_raw(&[1, 0, 1], &[]);
    let long = |herd: &mut Herd| herd.says_raw(&vec![0; gateway::MAX_FRAME + 1], &[]);
    let again = |herd: &mut Herd| herd.configure();
    let poor = |herd: &mut Herd| herd.says(&ToGateway::Link { worker: 1 });
    let rich = |herd: &mut Herd| {
        let gift = fd::null().unwrap();
        herd.says_raw(&encoded(&ToGateway::Open), &[gift.as_fd()]);
    };
    let crowded = |herd: &mut Herd| {
        let gift = fd::null().unwrap();
        let mut packet = encoded(&ToGateway::Link { worker: 1 });
        packet.extend(encoded(&ToGateway::Open));
        herd.says_raw(&packet, &[gift.as_fd(), gift.as_fd()]);
    };
    let wrongs: [&dyn Fn(&mut Herd); 7] = [&nonsense, &half, &long, &again, &poor, &rich, &crowded];
    for wrong in wrongs {
        let mut herd = Herd::start(config());
        herd.boot();
        let mut client = herd.connect();
        wrong(&mut herd);
        assert_eq!(herd.ends(), 1);
        assert_eq!(client.hears(), "");
    }
}

#[test]
fn a_master_that_cannot_be_understood_is_not_followed() {
    let (version, capabilities) = (gateway::VERSION + 1, 0);
    let other_version = ToGateway::Welcome {
        version,
        capabilities,
    };
    let no_listener = ToGateway::Configure(Box::default());
    let version = gateway::VERSION;
    let welcome = ToGateway::Welcome {
        version,
        capabilities,
    };
    for words in [
        vec![other_version],
        vec![ToGateway::Open],
        vec![welcome.clone(), ToGateway::Open],
        vec![welcome, no_listener],
    ] {
        let mut herd = Herd::start(config());
        herd.greeted();
        for word in &words {
            herd.says(word);
        }
        assert_eq!(herd.ends(), 1, "{words:?}");
    }
}
