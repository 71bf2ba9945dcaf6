//! What a client hears of workers that die, fail or hang, and how little of it.

use herder_e2e::foreign::{BOOT, freeze, wait_for};
use herder_e2e::jobs::started;
use herder_e2e::message::{Chat, Crowd, Door, Heard};
use herder_e2e::process::Process;
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use rustix::process::Signal;
use std::time::Duration;

/// What a client is told of one question, with `N` for the worker.
fn one_question(name: &str, options: &[&str], question: &str) -> String {
    let scene = Scene::new(name);
    let (herd, door) = started(&scene, &[&["--workers", "2"], options].concat());
    let mut chat = Chat::open(&door);
    chat.say(question);
    let told = chat.hear_text();
    // The connection goes on, and others serve.
    chat.say("echo next");
    let reply = chat.hear_reply();
    assert_eq!((reply.id.as_str(), reply.part), ("next", 1));
    drop(chat);
    assert!(herd.end().success());
    // Whichever was there first.
    told.replace("worker 1", "worker N")
        .replace("worker 2", "worker N")
}

#[test]
fn a_message_whose_worker_ends_is_told_to_its_client() {
    for options in [&[][..], &["--blocking"]] {
        let told = one_question("ends", options, "exit/3 x");
        assert_eq!(
            told,
            "message 1: worker N ended while it worked on this; it may have been carried out"
        );
    }
}

#[test]
fn the_words_for_a_lost_message_are_the_programs_to_choose() {
    let told = one_question("words", &["--lost-reply", "sorry!"], "exit/3 x");
    assert_eq!(told, "sorry!");
}

#[test]
fn a_message_that_cannot_be_carried_out_is_told_to_its_client() {
    for options in [&[][..], &["--blocking"]] {
        for question in ["fail x", "panic x"] {
            let told = one_question("fails", options, question);
            assert_eq!(
                told, "message 1: worker N could not carry it out",
                "{question}"
            );
        }
    }
}

#[test]
fn a_message_that_kills_every_worker_is_given_up() {
    let told = one_question("poison", &["--idempotent"], "exit/3 x");
    assert_eq!(
        told,
        "message 1: every worker that took it ended; it may have been carried out"
    );
}

#[test]
fn r08_timed_a_worker_that_hangs_costs_its_own_client_a_notice_and_nobody_else_time() {
    wait::timed(Duration::from_secs(1), || {
        let scene = Scene::new("hangs");
        let (herd, door) = started(&scene, &["--workers", "3", "--hang", "2000"]);
        let workers = wait_for(&herd, 0, 3, "ready", BOOT);
        let mark = herd.mark();
        let mut unlucky = Chat::open(&door);
        unlucky.say("hang x");
        herd.wait_for_line_after(mark, "it was given to a worker", BOOT, |line| {
            (line == "Dispatch to 1").then_some(())
        });
        // What was given to the hung one meanwhile is taken back and goes to others.
        let account = Crowd::at(door).clients(6).messages(100).run();
        println!("{account}");
        account.assert_all_answered();
        let hung = workers.iter().find(|seat| seat.id == 1);
        let hung = *hung.expect("the first worker");
        let hangs_still = Process::of(hung.pid).is_some_and(|it| it.is_alive());
        let death = "died: signal SIGABRT (it hung)";
        assert_eq!(wait_for(&herd, mark, 1, death, BOOT), [hung]);
        assert_eq!(
            unlucky.hear_text(),
            "message 1: worker 1 ended while it worked on this; it may have been carried out"
        );
        unlucky.say("echo y");
        assert_eq!(unlucky.hear_reply().id, "y");
        drop(unlucky);
        assert!(herd.end().success());
        // On a very slow machine it was over before the others had theirs: that measures nothing.
        if hangs_still {
            account.latency(1000)
        } else {
            Duration::MAX
        }
    });
}

#[test]
fn r08_timed_a_stopped_worker_is_killed_and_nobody_is_told() {
    wait::timed(Duration::from_secs(1), || {
        let scene = Scene::new("frozen");
        let (herd, door) = started(&scene, &["--workers", "2", "--hang", "1000"]);
        let workers = wait_for(&herd, 0, 2, "ready", BOOT);
        let mark = herd.mark();
        freeze(&herd, &[workers[0].pid]);
        // It has started none of what it is given: all of that is taken back.
        let load = Crowd::at(door).clients(4).start();
        wait_for(&herd, mark, 1, "died: signal SIGKILL (it hung)", BOOT);
        wait_for(&herd, mark, 1, "ready", BOOT);
        load.wait_for_settled(100, BOOT);
        let account = load.stop_and_finish();
        println!("{account}");
        account.assert_all_answered();
        assert!(herd.end().success());
        account.latency(1000)
    });
}

#[test]
fn r23_a_worker_that_is_killed_while_it_is_idle_is_noticed_by_nobody() {
    let scene = Scene::new("idle");
    let (herd, door) = started(&scene, &["--workers", "2"]);
    let workers = wait_for(&herd, 0, 2, "ready", BOOT);
    let mut chat = Chat::open(&door);
    for (number, worker) in [(1, workers[0]), (2, workers[1])] {
        let mark = herd.mark();
        herd.signal_to(worker.pid, Signal::KILL);
        // Whether the gateway knows of the death or not: it was not started, so it goes to another.
        chat.say(&format!("echo {number}"));
        let reply = chat.hear_reply();
        assert_eq!(reply.id, number.to_string());
        assert_ne!(reply.pid, worker.pid);
        wait_for(&herd, mark, 1, "died: signal SIGKILL", BOOT);
        wait_for(&herd, mark, 1, "ready", BOOT);
    }
    drop(chat);
    assert!(herd.end().success());
}

#[test]
fn what_nobody_takes_is_told_after_ten_seconds() {
    /// So many a worker holds that it has not started.
    const WINDOW: usize = 8;
    let scene = Scene::new("nobody");
    let (herd, door) = started(&scene, &["--workers", "1", "--hang", "60000"]);
    let worker = wait_for(&herd, 0, 1, "ready", BOOT)[0];
    let mut chat = Chat::open(&door);
    chat.say("echo first");
    assert_eq!(chat.hear_reply().id, "first");
    freeze(&herd, &[worker.pid]);
    for number in 0..WINDOW {
        chat.say(&format!("echo {number}"));
    }
    chat.say("echo last");
    assert_eq!(
        chat.hear_text(),
        "message 10: no worker could take it; it was not carried out"
    );
    herd.signal_to(worker.pid, Signal::CONT);
    for number in 0..WINDOW {
        assert_eq!(chat.hear_reply().id, number.to_string());
    }
    chat.say_end();
    assert_eq!(chat.hear(), Heard::Closed(1000));
    assert!(herd.end().success());
}

#[test]
fn a_worker_that_retires_finishes_what_it_has() {
    let scene = Scene::new("suicide");
    let (herd, door) = started(&scene, &["--workers", "2"]);
    let doors: [Door; 2] = [door.clone(), door];
    let [retiring, steady] = doors.map(Crowd::at);
    let steady = steady.clients(4).command("slow/5").start();
    let retiring = retiring.clients(2).command("retire").messages(10).run();
    retiring.assert_all_answered();
    steady.wait_for_settled(50, BOOT);
    let account = steady.stop_and_finish();
    println!("{account}");
    account.assert_all_answered();
    assert!(herd.end().success());
}
