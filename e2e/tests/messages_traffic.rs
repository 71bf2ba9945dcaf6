//! Messages under load, while their workers come and go.

use herder_e2e::dice::Dice;
use herder_e2e::foreign::{BOOT, Seat};
use herder_e2e::herd::Herd;
use herder_e2e::jobs::{dispatches, kill_one_of, started};
use herder_e2e::message::{Account, Crowd, Door, Fate, Message, Running};
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);
const CLIENTS: usize = 20;
const EACH: usize = 50;
const SLOTS: usize = 8;

const HERD: [&str; 6] = ["--workers", "8", "--max-jobs", "2", "--think", "50"];

fn twenty_clients(door: Door) -> Running {
    let crowd = Crowd::at(door).clients(CLIENTS).command("twice");
    crowd.messages(EACH as u64).start()
}

#[test]
fn every_message_is_answered_while_workers_retire_after_two_jobs() {
    let scene = Scene::new("retire");
    let (herd, door) = started(&scene, &HERD);
    let account = twenty_clients(door).finish();
    println!("{account}");
    account.assert_all_answered();
    assert_eq!(account.messages.len(), CLIENTS * EACH);
    let lives = account.per_life();
    assert!(lives.values().all(|count| *count <= 2), "{lives:?}");
    // Nearly everybody has had two: what a worker was slow to begin with may have gone to another.
    let fewest = CLIENTS * EACH / 2;
    assert!(lives.len() < fewest + fewest / 10 + SLOTS, "{account}");
    wait::until(BOOT, "each dispatch is told", || {
        let told = dispatches(&herd).values().sum::<usize>();
        (told >= CLIENTS * EACH).then_some(())
    });
    assert!(herd.end().success());
}

/// Kills two workers of every slot, at moments and in an order that nobody knows before.
fn kill_sixteen(herd: &Herd, load: &Running) -> Vec<Seat> {
    let mut dice = Dice::thrown();
    let mut slots: Vec<u16> = (0..8).chain(0..8).collect();
    dice.shuffle(&mut slots);
    let mut moments: Vec<u64> = slots.iter().map(|_| dice.below(900) as u64).collect();
    moments.sort_unstable();
    let mut killed = Vec::new();
    for (slot, moment) in slots.into_iter().zip(moments) {
        load.wait_until_settled(moment, LONG);
        killed.push(kill_one_of(herd, slot, &mut dice));
    }
    killed
}

#[expect(clippy::print_stdout, reason = "what a failure is judged by")]
fn with_kills(name: &str, options: &[&str]) -> (Account, Vec<Seat>) {
    let scene = Scene::new(name);
    let (herd, door) = started(&scene, &[&HERD[..], options].concat());
    let load = twenty_clients(door);
    let killed = kill_sixteen(&herd, &load);
    let account = load.finish();
    println!("{account}");
    account.assert_nobody_disconnected();
    assert_eq!(account.messages.len(), CLIENTS * EACH);
    assert_eq!(killed.len(), 2 * SLOTS);
    assert!(herd.end().success());
    (account, killed)
}

/// Whoever is told is told the truth: one of the killed had it.
fn assert_told_of_the_killed(message: &Message, killed: &[Seat]) {
    let number = message.id.rsplit_once('.').map(|(_, number)| number);
    let number = number.expect("a client's name of a message ends with its number");
    let right = killed.iter().any(|seat| {
        let worker = seat.id;
        let text = format!(
            "message {number}: worker {worker} ended while it worked on this; it may have been \
             carried out"
        );
        let replied = message.workers().iter().all(|pid| *pid == seat.pid);
        message.told == [text] && replied
    });
    assert!(right, "{message:?}; killed were {killed:?}");
}

fn kills_cost_an_answer_or_a_notice(name: &str) {
    let (account, killed) = with_kills(name, &[]);
    account.assert_fates(&[Fate::Answered, Fate::AnsweredAndTold, Fate::Told]);
    let told = account
        .of(Fate::Told)
        .chain(account.of(Fate::AnsweredAndTold));
    let told: Vec<&Message> = told.collect();
    for message in &told {
        assert_told_of_the_killed(message, &killed);
    }
    assert!(told.len() <= 2 * killed.len(), "{account}");
}

#[test]
fn r23_r24_sixteen_kills_cost_each_message_an_answer_or_a_notice() {
    kills_cost_an_answer_or_a_notice("kills");
}

#[test]
#[ignore = "many dice: in the long set"]
fn r23_r24_kills_cost_an_answer_or_a_notice_again_and_again() {
    for _ in 0..5 {
        kills_cost_an_answer_or_a_notice("kills_more");
        kills_are_told_to_nobody("repeats_more");
    }
}

/// For each worker the parts of the answer that it gave.
fn parts(message: &Message) -> BTreeMap<i32, Vec<u32>> {
    let mut parts: BTreeMap<i32, Vec<u32>> = BTreeMap::new();
    for reply in &message.replies {
        parts.entry(reply.pid).or_default().push(reply.part);
    }
    parts
}

fn kills_are_told_to_nobody(name: &str) {
    let (account, killed) = with_kills(name, &["--idempotent"]);
    // What a worker had begun that was killed is begun again by another.
    account.assert_fates(&[Fate::Answered, Fate::Doubled]);
    let killed: BTreeSet<i32> = killed.iter().map(|seat| seat.pid).collect();
    for repeated in account.of(Fate::Doubled) {
        assert_eq!(repeated.told, [""; 0], "{repeated:?}");
        let parts = parts(repeated);
        let (whole, begun): (Vec<_>, Vec<_>) =
            parts.iter().partition(|(_, parts)| **parts == [1, 2]);
        assert!(!whole.is_empty(), "{repeated:?}");
        // Whoever did not finish was killed; of those who did, one was not asked in vain.
        let dead = |(pid, _): &(&i32, &Vec<u32>)| killed.contains(pid);
        assert!(
            begun.iter().all(|it| dead(it) && *it.1 == [1]),
            "{repeated:?}"
        );
        assert!(
            whole.iter().filter(|it| !dead(it)).count() <= 1,
            "{repeated:?}"
        );
    }
}

#[test]
fn sixteen_kills_of_workers_that_may_repeat_a_job_are_told_to_nobody() {
    kills_are_told_to_nobody("repeats");
}

#[test]
fn blocking_workers_answer_every_message_too() {
    let scene = Scene::new("blocking");
    let options = ["--workers", "4", "--max-jobs", "3", "--think", "5"];
    let (herd, door) = started(&scene, &[&options[..], &["--blocking"]].concat());
    let crowd = Crowd::at(door).clients(8).command("twice").messages(40);
    let account = crowd.outstanding(4).run();
    println!("{account}");
    account.assert_all_answered();
    assert!(account.per_life().values().all(|count| *count <= 3));
    assert!(herd.end().success());
}
