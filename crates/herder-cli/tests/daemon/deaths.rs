//! Processes are killed, and nothing is lost.

use herder_api::control::Verb;
use herder_api::status::AppPhase;
use herder_sys::pidfd::PidFd;
use herder_sys::signal::Signal;

use super::kit::{Place, attempt, idle, kill, lives, pids};

#[test]
fn a_daemon_that_is_killed_is_started_again_and_finds_its_herds() {
    let place = Place::new("proper");
    let guard = place.daemon();
    place.start(&[idle("web"), idle("api")]);
    let before = pids(&place.app("web"));
    let proper = place.proper();
    kill(proper);
    attempt(|| place.client_answers().then_some(())).expect("it is started again");
    assert_ne!(place.proper(), proper);
    assert_eq!(place.guard(), Some(guard));
    let after = place.until_phase("web", AppPhase::Online);
    assert_eq!(pids(&after), before);
    assert_eq!(after.restarts, 0);
    place.act(Verb::Restart, "web").done("web");
}

#[test]
fn a_guard_that_is_killed_is_replaced() {
    let place = Place::new("guard");
    let guard = place.daemon();
    let proper = place.proper();
    for _ in 0..2 {
        let last = place.guard().unwrap();
        kill(last);
        let next = attempt(|| place.guard().filter(|next| *next != last && lives(*next)));
        next.expect("another guard");
        assert_eq!(place.proper(), proper, "the daemon goes on");
    }
    assert!(!lives(guard));
    // The new guard does what the old one did.
    kill(proper);
    attempt(|| place.client_answers().then_some(())).expect("it is started again");
    assert_ne!(place.proper(), proper);
    // And it hears how a daemon ends that is not its child.
    let guard = PidFd::open(place.guard().unwrap()).unwrap();
    guard.signal(Signal::Terminate).unwrap();
    attempt(|| guard.is_over().unwrap().then_some(())).expect("it ends with the daemon");
}

#[test]
fn the_next_daemon_takes_over_what_a_killed_one_has_left() {
    let place = Place::new("both");
    place.daemon();
    place.start(&[idle("web"), idle("api")]);
    place.act(Verb::Stop { now: false }, "api").done("api");
    let before = pids(&place.app("web"));
    place.kill_daemon();
    assert!(before.iter().all(|pid| lives(*pid)), "herds go on");
    place.daemon();
    let after = place.app("web");
    assert_eq!((after.phase, pids(&after)), (AppPhase::Online, before));
    assert_eq!(place.app("api").phase, AppPhase::Stopped);
    place.act(Verb::Stop { now: false }, "web").done("web");
    assert!(pids(&after).iter().all(|pid| !lives(*pid)));
}

#[test]
fn a_herd_that_dies_is_started_again() {
    let place = Place::new("herd");
    place.daemon();
    place.start(&[idle("web")]).done("web");
    let status = place.app("web");
    let herd = status.herd.clone().unwrap();
    kill(herd.keeper);
    kill(herd.master);
    for worker in pids(&status) {
        kill(worker);
    }
    let waits = place.until("web", |status| status.phase != AppPhase::Online);
    let note = waits.note.unwrap_or_default();
    assert_eq!(waits.phase, AppPhase::Errored, "{note}");
    assert!(note.contains("tried again"), "{note}");
    let again = place.until_phase("web", AppPhase::Online);
    assert_ne!(again.herd.unwrap().keeper, herd.keeper);
    assert_eq!((again.restarts, again.failures), (1, 1));
}

#[test]
fn a_herd_that_dies_while_nobody_looks_is_started_again() {
    let place = Place::new("unseen");
    place.daemon();
    place.start(&[idle("web")]).done("web");
    let status = place.app("web");
    place.kill_daemon();
    let herd = status.herd.clone().unwrap();
    kill(herd.keeper);
    kill(herd.master);
    pids(&status).into_iter().for_each(kill);
    place.daemon();
    let again = place.until_phase("web", AppPhase::Online);
    assert_ne!(again.herd.unwrap().keeper, herd.keeper);
}

#[test]
fn a_master_that_dies_is_no_death_of_the_herd() {
    let place = Place::new("master");
    place.daemon();
    place.start(&[idle("web")]).done("web");
    let before = place.app("web");
    let herd = before.herd.clone().unwrap();
    kill(herd.master);
    let after = place.until("web", |status| {
        let master = status.herd.as_ref().map(|herd| herd.master);
        status.phase == AppPhase::Online && master != Some(herd.master)
    });
    assert_eq!(after.herd.as_ref().unwrap().keeper, herd.keeper);
    assert_eq!(pids(&after), pids(&before));
    // It is still heard.
    place.act(Verb::Stop { now: false }, "web").done("web");
}

#[test]
fn the_daemon_becomes_the_build_that_is_installed() {
    let place = Place::new("upgrade");
    let guard = place.daemon();
    place.start(&[idle("web")]).done("web");
    let (proper, before) = (place.proper(), pids(&place.app("web")));
    let told = place.act(Verb::Upgrade, "all");
    told.done("web");
    attempt(|| (!lives(proper) && place.client_answers()).then_some(())).expect("another one");
    // It writes that down anew when it has become the other build.
    attempt(|| (place.guard() == Some(guard)).then_some(())).expect("the guard keeps its process");
    assert!(lives(guard));
    assert_eq!(pids(&place.app("web")), before);
    // The guard that has become another build still watches.
    let proper = place.proper();
    kill(proper);
    attempt(|| place.client_answers().then_some(())).expect("it is started again");
}

impl Place {
    fn client_answers(&self) -> bool {
        self.wait(async { self.client().daemon().await.is_ok() })
    }
}
