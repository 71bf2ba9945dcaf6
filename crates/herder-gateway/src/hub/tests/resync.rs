//! Another master takes over from a dead one.

use std::time::Duration;

use herder_core::Incarnation;
use herder_wire::control::{Course, MAX_KNOWN, ToMaster, VERSION};
use herder_wire::gateway::{GatewayConfig, Reports};

use super::stage::{Client, Stage, calm, patient, play};

/// What the gateway says when it is asked where it is.
async fn resync(stage: &mut Stage) -> Vec<ToMaster> {
    stage.shell.resync();
    let mut said = Vec::new();
    loop {
        said.push(stage.master.hears().await);
        if matches!(said.last(), Some(ToMaster::Known { .. })) {
            return said;
        }
    }
}

fn state(course: Course, open: u32, served: u64) -> ToMaster {
    ToMaster::State {
        version: VERSION,
        course,
        open,
        served,
        busy: 0,
    }
}

#[test]
fn r32_a_gateway_says_with_whom_it_is_linked() {
    play(patient(), async |mut stage: Stage| {
        let known = |workers| ToMaster::Known { workers };
        let ready = |open| state(Course::Ready, open, 0);
        assert_eq!(resync(&mut stage).await, [ready(0), known(vec![])]);
        stage.expect(1);
        let _two = stage.greeted(2).await;
        let _three = stage.greeted(3).await;
        let _client = stage.client();
        // The first has no link.
        assert_eq!(resync(&mut stage).await, [ready(1), known(vec![2, 3])]);
    });
}

#[test]
fn r32_what_was_said_of_workers_is_said_again() {
    let config = GatewayConfig {
        max_jobs: Some(1),
        ..patient()
    };
    play(config, async |mut stage: Stage| {
        let (one, two, three) = (
            stage.greeted(1).await,
            stage.greeted(2).await,
            stage.greeted(3).await,
        );
        let client = stage.client();
        client.says("its only one");
        stage.master.hears_of(1, 1).await;
        assert_eq!(
            stage.master.hears().await,
            ToMaster::Exhausted { worker: 1 }
        );
        one.starts(1).await;
        stage.shell.withdraw(Incarnation(2));
        assert_eq!(
            stage.master.hears().await,
            ToMaster::Withdrawn { worker: 2 }
        );
        three.hello(0);
        let ToMaster::Unusable { worker: 3, reason } = stage.master.hears().await else {
            panic!("it said hello twice");
        };
        for _ in 0..2 {
            let again = [
                ToMaster::Exhausted { worker: 1 },
                ToMaster::Withdrawn { worker: 2 },
                ToMaster::Unusable {
                    worker: 3,
                    reason: reason.clone(),
                },
                state(Course::Ready, 1, 0),
                ToMaster::Known {
                    workers: vec![1, 2],
                },
            ];
            assert_eq!(resync(&mut stage).await, again);
        }
        stage.gone(two);
        let said = resync(&mut stage).await;
        assert!(
            !said.contains(&ToMaster::Withdrawn { worker: 2 }),
            "{said:?}"
        );
        one.finish(1);
    });
}

#[test]
fn r32_a_closing_gateway_says_again_that_nothing_waits() {
    play(patient(), async |mut stage: Stage| {
        stage.shell.close(Duration::from_secs(3600));
        assert_eq!(stage.master.hears().await, ToMaster::Empty);
        let said = resync(&mut stage).await;
        assert_eq!(said[..2], [ToMaster::Empty, state(Course::Draining, 0, 0)]);
    });
}

/// However many there are: no packet is longer than the master can receive.
#[test]
fn r32_many_workers_are_named_in_one_list() {
    play(patient(), async |mut stage: Stage| {
        const WORKERS: u64 = 300;
        let mut workers = Vec::new();
        for worker in 1..=WORKERS {
            workers.push(stage.greeted(worker).await);
        }
        for worker in 1..=WORKERS {
            stage.shell.withdraw(Incarnation(worker));
            let withdrawn = ToMaster::Withdrawn { worker };
            assert_eq!(stage.master.hears().await, withdrawn);
        }
        let said = resync(&mut stage).await;
        let all = (1..=WORKERS).collect();
        assert_eq!(said.last(), Some(&ToMaster::Known { workers: all }));
        assert!(WORKERS < MAX_KNOWN as u64);
    });
}

/// The channel is full, for longer than anybody waits: clients do not notice, and the master hears of
/// everything in the end.
fn serves_without_its_master(reports: Reports, heard_of: u64) {
    let config = GatewayConfig {
        reports,
        beat_millis: Some(1),
        ..patient()
    };
    play(config, async |mut stage: Stage| {
        const JOBS: u64 = 500;
        let worker = stage.greeted(1).await;
        while stage.channel.say(&ToMaster::Beat).is_ok() {}
        let client = stage.client();
        for number in 1..=JOBS {
            client.says("ping");
            assert_eq!(worker.job().await.id, number);
            worker.does(number, "pong");
            assert_eq!(client.hears().await, "pong");
        }
        stage.shell.withdraw(Incarnation(1));
        calm().await;
        for job in 1..=heard_of {
            stage.master.hears_of(job, 1).await;
        }
        let withdrawn = ToMaster::Withdrawn { worker: 1 };
        assert_eq!(stage.master.hears().await, withdrawn);
        let said = resync(&mut stage).await;
        assert_eq!(said[..2], [withdrawn, state(Course::Ready, 1, JOBS)]);
    });
}

#[test]
fn r32_clients_are_served_while_the_master_is_away() {
    serves_without_its_master(Reports::Never, 0);
}

#[test]
fn r32_the_master_hears_later_of_the_jobs_that_did_not_wait_for_it() {
    serves_without_its_master(Reports::EachJob, 500);
}
