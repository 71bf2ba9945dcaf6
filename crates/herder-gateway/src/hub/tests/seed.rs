//! The seed system: two workers, two jobs each, one client.

use herder_core::Incarnation;
use herder_wire::control::ToMaster;
use herder_wire::gateway::GatewayConfig;

use super::stage::{Client, Stage, Worker, patient, play};

const MESSAGES: [&str; 9] = [
    "13",
    "13 * 2",
    "\"asdasd\" + 'dsas'",
    "123132",
    "3321",
    "312231",
    "31",
    "32154",
    "5464",
];

const ROBOTS: [u64; 9] = [1, 2, 1, 2, 3, 4, 3, 4, 5];

#[test]
fn nine_messages_one_after_the_other_go_to_robots_1_2_1_2_3_4_3_4_5() {
    let config = GatewayConfig {
        max_jobs: Some(2),
        ..patient()
    };
    play(config, async |mut stage: Stage| {
        let mut workers = vec![stage.greeted(1).await, stage.greeted(2).await];
        let client = stage.client();
        let mut given = [0; 10];
        for (number, (words, robot)) in (1..).zip(MESSAGES.into_iter().zip(ROBOTS)) {
            client.says(words);
            stage.master.hears_of(number, robot).await;
            given[usize::try_from(robot).unwrap()] += 1;
            let is_last = given[usize::try_from(robot).unwrap()] == 2;
            if is_last {
                replace(&mut stage, &mut workers, robot).await;
            }
            let worker = workers.iter().find(|worker| worker.id == robot).unwrap();
            let job = worker.job().await;
            assert_eq!((job.id, job.bytes), (number, words.as_bytes().to_vec()));
            worker.start(number);
            worker.reply(number, "at once");
            assert_eq!(client.hears().await, "at once");
            worker.reply(number, "a second later");
            worker.finish(number);
            assert_eq!(client.hears().await, "a second later");
            if is_last {
                let worker = robot;
                assert_eq!(stage.master.hears().await, ToMaster::Withdrawn { worker });
            }
        }
        assert!(client.is_idle());
    });
}

/// The worker got its last job: its successor is started at that instant.
async fn replace(stage: &mut Stage, workers: &mut Vec<Worker>, worker: u64) {
    assert_eq!(stage.master.hears().await, ToMaster::Exhausted { worker });
    let successor = workers.last().unwrap().id + 1;
    stage.shell.withdraw(Incarnation(worker));
    workers.push(stage.greeted(successor).await);
}

#[test]
fn a_job_whose_turn_falls_on_a_starting_worker_waits_for_it() {
    let config = GatewayConfig {
        max_jobs: Some(1),
        ..patient()
    };
    play(config, async |mut stage: Stage| {
        let first = stage.greeted(1).await;
        stage.expect(2);
        let third = stage.greeted(3).await;
        let client = stage.client();
        for words in ["a", "b", "c"] {
            client.says(words);
        }
        first.starts(1).await;
        third.starts(3).await;
        let second = stage.tie(2);
        stage.shell.admit(Incarnation(2));
        second.is_greeted().await;
        assert_eq!(second.has(), None, "it has not said hello");
        second.hello(0);
        second.starts(2).await;
        stage.master.hears_of(1, 1).await;
        assert_eq!(
            stage.master.hears().await,
            ToMaster::Exhausted { worker: 1 }
        );
        stage.master.hears_of(3, 3).await;
        assert_eq!(
            stage.master.hears().await,
            ToMaster::Exhausted { worker: 3 }
        );
        stage.master.hears_of(2, 2).await;
        assert_eq!(
            stage.master.hears().await,
            ToMaster::Exhausted { worker: 2 }
        );
    });
}

#[test]
fn jobs_that_a_worker_did_under_an_earlier_gateway_count() {
    let config = GatewayConfig {
        max_jobs: Some(3),
        ..patient()
    };
    play(config, async |mut stage: Stage| {
        stage.expect(7);
        let worker = stage.tie(7);
        worker.is_greeted().await;
        worker.hello(2);
        stage.shell.admit(Incarnation(7));
        let client = stage.client();
        client.says("the third");
        client.says("for another");
        stage.master.hears_of(1, 7).await;
        assert_eq!(
            stage.master.hears().await,
            ToMaster::Exhausted { worker: 7 }
        );
        worker.starts(1).await;
        let other = stage.greeted(8).await;
        other.starts(2).await;
        assert_eq!(worker.has(), None);
    });
}
