//! What becomes of a worker's jobs when it stands still, fails or dies.

use herder_core::Incarnation;
use herder_wire::control::ToMaster;
use herder_wire::gateway::{GatewayConfig, Retry};
use herder_wire::link::{FromGateway, FromWorker, VERSION};

use super::stage::{Client, Stage, calm, patient, play};

#[test]
fn what_a_worker_does_not_receive_is_taken_back_and_served_by_another() {
    let config = GatewayConfig {
        steal_after_millis: 20,
        ..patient()
    };
    play(config, async |mut stage: Stage| {
        let deaf = stage.worker(1);
        let other = stage.greeted(2).await;
        let client = stage.client();
        client.says("for the deaf");
        client.says("for the other");
        other.starts(2).await;
        other.starts(1).await;
        for (job, worker) in [(1, 1), (2, 2), (1, 2)] {
            stage.master.hears_of(job, worker).await;
        }
        let version = VERSION;
        assert_eq!(deaf.has(), Some(FromGateway::Hello { version }));
        assert_eq!(deaf.has(), None, "each packet reached one of the two");
    });
}

#[test]
fn a_worker_that_is_held_keeps_what_it_has_started_only() {
    play(patient(), async |stage: Stage| {
        let held = stage.greeted(1).await;
        let client = stage.client();
        for words in ["started", "not received"] {
            client.says(words);
        }
        held.starts(1).await;
        let other = stage.worker(2);
        stage.shell.hold(Incarnation(1));
        other.is_greeted().await;
        other.starts(2).await;
        held.reply(1, "done");
        held.finish(1);
        assert_eq!(client.hears().await, "done");
        other.reply(2, "done, too");
        assert_eq!(client.hears().await, "done, too");
        // Admitted again, it gets its turn again.
        stage.shell.admit(Incarnation(1));
        client.says("a");
        client.says("b");
        held.starts(3).await;
        other.starts(4).await;
    });
}

#[test]
fn of_a_dead_workers_jobs_the_started_ones_are_lost_and_the_others_served() {
    play(patient(), async |stage: Stage| {
        let mortal = stage.greeted(1).await;
        let client = stage.client();
        for words in ["started", "received", "not received"] {
            client.says(words);
        }
        mortal.starts(1).await;
        assert_eq!(mortal.job().await.id, 2);
        mortal.reply(1, "so far");
        let heir = stage.greeted(2).await;
        stage.gone(mortal);
        assert_eq!(client.hears().await, "so far");
        assert_eq!(
            client.hears().await,
            "message 1: worker 1 ended while it worked on this; it may have been carried out"
        );
        for job in [2, 3] {
            heir.starts(job).await;
            heir.reply(job, "served");
            heir.finish(job);
            assert_eq!(client.hears().await, "served");
        }
        calm().await;
        assert!(client.is_idle(), "each job is over once");
    });
}

#[test]
fn the_last_words_of_the_dead_count() {
    play(patient(), async |stage: Stage| {
        let worker = stage.greeted(1).await;
        let client = stage.client();
        client.says("quick");
        let job = worker.job().await.id;
        // Both before the gateway has looked at either.
        worker.does(job, "done");
        stage.gone(worker);
        assert_eq!(client.hears().await, "done");
        calm().await;
        assert!(client.is_idle(), "and nothing is lost");
    });
}

#[test]
fn what_may_be_done_twice_is_done_by_another() {
    let config = GatewayConfig {
        retry: Retry::Idempotent,
        ..patient()
    };
    play(config, async |stage: Stage| {
        let mortal = stage.greeted(1).await;
        let client = stage.client();
        let long = "x".repeat(100_000);
        client.says(&long);
        mortal.starts(1).await;
        stage.gone(mortal);
        let heir = stage.greeted(2).await;
        let job = heir.job().await;
        assert_eq!((job.id, job.bytes), (1, long.into_bytes()));
        heir.does(1, "done");
        assert_eq!(client.hears().await, "done");
        calm().await;
        assert!(client.is_idle());
    });
}

#[test]
fn a_job_that_ends_every_worker_is_given_up() {
    for (retry, ending) in [
        (Retry::Never, "it was not carried out"),
        (Retry::Idempotent, "it may have been carried out"),
    ] {
        let config = GatewayConfig { retry, ..patient() };
        play(config, async |stage: Stage| {
            let client = stage.client();
            client.says("poison");
            for id in 1..=3 {
                let worker = stage.greeted(id).await;
                assert_eq!(worker.job().await.id, 1);
                if retry == Retry::Idempotent {
                    worker.start(1);
                }
                stage.gone(worker);
            }
            assert_eq!(
                client.hears().await,
                format!("message 1: every worker that took it ended; {ending}")
            );
            calm().await;
            assert!(client.is_idle());
        });
    }
}

#[test]
fn what_lay_unreceived_at_the_dead_met_no_death() {
    play(patient(), async |stage: Stage| {
        let client = stage.client();
        client.says("innocent");
        for id in 1..=5 {
            let worker = stage.worker(id);
            calm().await;
            assert!(worker.unread() > "innocent".len(), "it was sent");
            stage.gone(worker);
        }
        let worker = stage.greeted(6).await;
        worker.starts(1).await;
        worker.reply(1, "served");
        assert_eq!(client.hears().await, "served");
    });
}

#[test]
fn a_job_that_failed_is_told_of_once() {
    play(patient(), async |stage: Stage| {
        let worker = stage.greeted(1).await;
        let client = stage.client();
        client.says("divide by zero");
        worker.starts(1).await;
        let error = "no such number".to_owned();
        worker.say(&FromWorker::Failed { job: 1, error });
        assert_eq!(
            client.hears().await,
            "message 1: worker 1 could not carry it out"
        );
        // It may not be over twice, and nothing can be said of it any more.
        worker.finish(1);
        worker.reply(1, "after all");
        client.says("next");
        worker.starts(2).await;
        worker.reply(2, "two");
        assert_eq!(client.hears().await, "two");
    });
}

#[test]
fn a_job_that_nobody_could_take_in_time_was_not_carried_out() {
    let config = GatewayConfig {
        pending_timeout_millis: 20,
        ..patient()
    };
    play(config, async |stage: Stage| {
        let client = stage.client();
        client.says("anybody?");
        assert_eq!(
            client.hears().await,
            "message 1: no worker could take it; it was not carried out"
        );
        assert!(client.is_idle());
    });
}

#[test]
fn the_program_may_say_it_in_its_own_words() {
    let config = GatewayConfig {
        lost_reply: Some("{\"error\":\"lost\"}".into()),
        ..patient()
    };
    play(config, async |stage: Stage| {
        let worker = stage.greeted(1).await;
        let client = stage.client();
        client.says("hello");
        worker.starts(1).await;
        stage.gone(worker);
        assert_eq!(client.hears().await, "{\"error\":\"lost\"}");
    });
}

#[test]
fn a_worker_that_dies_while_it_leaves_has_left() {
    play(patient(), async |mut stage: Stage| {
        let worker = stage.greeted(1).await;
        let client = stage.client();
        client.says("hello");
        worker.starts(1).await;
        stage.master.hears_of(1, 1).await;
        stage.shell.withdraw(Incarnation(1));
        stage.gone(worker);
        assert_eq!(
            stage.master.hears().await,
            ToMaster::Withdrawn { worker: 1 }
        );
        // Also of one that is not known.
        stage.shell.withdraw(Incarnation(9));
        assert_eq!(
            stage.master.hears().await,
            ToMaster::Withdrawn { worker: 9 }
        );
    });
}
