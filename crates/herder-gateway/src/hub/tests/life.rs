//! Coming and going: of workers, clients, and the herd.

use std::time::Duration;

use herder_core::Incarnation;
use herder_wire::control::ToMaster;
use herder_wire::gateway::{GatewayConfig, Protocol};
use tokio::sync::watch;

use super::stage::{Client, Stage, calm, patient, play, soon};
use crate::hub::shell::{Settings, Shell};
use crate::hub::{WorkerState, WorkerView, Workers};

#[test]
fn a_worker_is_withdrawn_when_nothing_lies_in_its_link() {
    play(patient(), async |mut stage: Stage| {
        let leaving = stage.greeted(1).await;
        let client = stage.client();
        client.says("started");
        client.says("not received");
        leaving.starts(1).await;
        let other = stage.greeted(2).await;
        stage.shell.withdraw(Incarnation(1));
        stage.master.hears_of(1, 1).await;
        stage.master.hears_of(2, 1).await;
        let worker = 1;
        assert_eq!(stage.master.hears().await, ToMaster::Withdrawn { worker });
        stage.master.hears_of(2, 2).await;
        other.starts(2).await;
        assert_eq!(leaving.has(), None);
        client.says("and more");
        other.starts(3).await;
        assert_eq!(leaving.has(), None, "it gets nothing any more");
        leaving.reply(1, "goodbye");
        leaving.finish(1);
        assert_eq!(client.hears().await, "goodbye");
    });
}

#[test]
fn a_closing_herd_serves_what_waits() {
    let config = GatewayConfig {
        worker_window: 1,
        ..patient()
    };
    play(config, async |mut stage: Stage| {
        let worker = stage.greeted(1).await;
        let (client, idle) = (stage.client(), stage.client());
        client.says("one");
        client.says("two");
        stage.master.hears_of(1, 1).await;
        stage.shell.close(Duration::from_secs(3600));
        stage.shell.withdraw(Incarnation(1));
        idle.is_sent_away().await;
        assert!(!client.has_room(), "no new messages");
        assert!(stage.shell.hub().join(Protocol::Lines).is_none());
        worker.starts(1).await;
        stage.master.hears_of(2, 1).await;
        worker.starts(2).await;
        // Only now nobody needs the worker any more.
        let mut said = [stage.master.hears().await, stage.master.hears().await];
        said.sort_by_key(|news| *news != ToMaster::Empty);
        assert_eq!(said, [ToMaster::Empty, ToMaster::Withdrawn { worker: 1 }]);
        worker.finish(1);
        worker.reply(2, "the last");
        worker.finish(2);
        assert_eq!(client.hears().await, "the last");
        client.is_sent_away().await;
    });
}

#[test]
fn a_closing_herd_does_not_wait_for_ever() {
    play(patient(), async |mut stage: Stage| {
        let client = stage.client();
        client.says("nobody comes");
        stage.shell.close(Duration::from_millis(20));
        assert_eq!(stage.master.hears().await, ToMaster::Empty);
        stage.shell.send_away();
        loop {
            if let crate::hub::Outgoing::Close(_) = soon(client.next()).await {
                break;
            }
        }
    });
}

#[test]
fn whoever_is_sent_away_is_told_once() {
    play(patient(), async |stage: Stage| {
        let worker = stage.greeted(1).await;
        let (idle, busy) = (stage.client(), stage.client());
        busy.says("long work");
        worker.starts(1).await;
        stage.shell.close(Duration::from_secs(3600));
        stage.shell.send_away();
        for client in [&idle, &busy] {
            client.is_sent_away().await;
        }
        calm().await;
        assert_eq!((idle.try_next(), busy.try_next()), (None, None));
    });
}

#[test]
fn there_are_no_more_clients_than_allowed() {
    let config = GatewayConfig {
        max_clients: 2,
        ..patient()
    };
    play(config, async |stage: Stage| {
        let (one, _two) = (stage.client(), stage.client());
        let hub = stage.shell.hub();
        assert!(hub.join(Protocol::WebSocket).is_none());
        drop(one);
        assert!(hub.join(Protocol::WebSocket).is_some());
    });
}

#[test]
fn the_loop_shows_that_it_turns() {
    let config = GatewayConfig {
        beat_millis: Some(5),
        ..patient()
    };
    play(config, async |mut stage: Stage| {
        for _ in 0..5 {
            assert_eq!(stage.master.hears_anything().await, ToMaster::Beat);
        }
    });
}

#[test]
fn the_master_hears_how_many_clients_there_are_and_what_was_served() {
    play(patient(), async |mut stage: Stage| {
        let worker = stage.greeted(1).await;
        let (client, _other) = (stage.client(), stage.client());
        client.says("hello");
        let busy = 0;
        loop {
            let (open, served) = (2, 0);
            if stage.master.hears_anything().await == (ToMaster::Counters { open, served, busy }) {
                break;
            }
        }
        worker.starts(1).await;
        worker.finish(1);
        drop(client);
        loop {
            let (open, served) = (1, 1);
            if stage.master.hears_anything().await == (ToMaster::Counters { open, served, busy }) {
                break;
            }
        }
    });
}

#[test]
fn the_numbers_of_the_next_gateway_are_new() {
    let first = Shell::new(Settings::new(&patient(), 1));
    let second = Shell::new(Settings::new(&patient(), 2));
    let number = |shell: &std::rc::Rc<Shell>| {
        let seat = shell.hub().join(Protocol::Lines).unwrap();
        seat.id().0
    };
    assert_eq!((number(&first), number(&first)), (1, 2));
    assert_eq!(number(&second), (1 << 40) + 1);
}

#[test]
fn watchers_see_workers_come_work_and_go() {
    play(patient(), async |stage: Stage| {
        let mut board = stage.shell.hub().watch();
        let view = |state, jobs, running| WorkerView {
            worker: 3,
            slot: 2,
            pid: 1003,
            state,
            jobs,
            running,
        };
        stage.expect(3);
        shown(&mut board, Some(view(WorkerState::Starting, 0, 0))).await;
        let worker = stage.tie(3);
        worker.hello(4);
        stage.shell.admit(Incarnation(3));
        shown(&mut board, Some(view(WorkerState::Ready, 4, 0))).await;
        let client = stage.client();
        client.says("a");
        client.says("b");
        worker.is_greeted().await;
        worker.starts(1).await;
        shown(&mut board, Some(view(WorkerState::Ready, 6, 1))).await;
        stage.shell.hold(Incarnation(3));
        shown(&mut board, Some(view(WorkerState::Held, 5, 1))).await;
        stage.shell.withdraw(Incarnation(3));
        worker.finish(1);
        shown(&mut board, Some(view(WorkerState::Leaving, 5, 0))).await;
        stage.gone(worker);
        shown(&mut board, None).await;
    });
}

async fn shown(board: &mut watch::Receiver<Workers>, wanted: Option<WorkerView>) {
    let is_so = |workers: &Workers| workers.0.get(&3) == wanted.as_ref();
    soon(board.wait_for(is_so)).await.unwrap();
}

#[test]
fn another_link_replaces_the_first() {
    play(patient(), async |stage: Stage| {
        let old = stage.greeted(1).await;
        let client = stage.client();
        client.says("started");
        client.says("not received");
        old.starts(1).await;
        let new = stage.tie(1);
        assert!(client.hears().await.contains("worker 1 ended"));
        new.is_greeted().await;
        new.hello(1);
        new.starts(2).await;
        new.reply(2, "by the new one");
        assert_eq!(client.hears().await, "by the new one");
    });
}

#[test]
fn the_link_of_a_worker_that_nobody_announced_is_closed() {
    play(patient(), async |stage: Stage| {
        let stranger = stage.tie(5);
        calm().await;
        stranger.is_greeted().await;
        assert!(stranger.hears().await.is_none());
    });
}
