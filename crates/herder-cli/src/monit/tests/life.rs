//! Data that comes, and a daemon that goes.

use herder_api::Problem;
use herder_api::control::{Progress, Reason};
use herder_api::problem::ProblemKind;

use super::fixtures::{
    NOW, apps, daemon, event, followed, frame, incident, log_line, model, online, press,
};
use crate::monit::model::log::{KEPT, State};
use crate::monit::model::{Input, Key, Link, Model, Page, Wish};
use crate::monit::view::Theme;

fn connections(count: u64, master: i32) -> Input {
    let mut app = online(0, "web");
    let herd = app.herd.as_mut().expect("it runs");
    herd.connections = Some(count);
    herd.master = master;
    Input::Apps(vec![app])
}

fn rate(model: &Model) -> Option<f64> {
    model.apps.per_second(model.apps.chosen().expect("one"))
}

#[test]
fn connections_are_counted_by_the_second() {
    let mut model = Model::default();
    model.take(connections(1000, 1), NOW);
    assert_eq!(rate(&model), None);
    model.take(connections(1250, 1), NOW + 500);
    assert_eq!(rate(&model), Some(500.0));
    model.take(connections(1250, 1), NOW + 1500);
    assert_eq!(rate(&model), Some(0.0));
    // Another master counts anew, and a clock that was put back says nothing.
    model.take(connections(5000, 2), NOW + 2500);
    assert_eq!(rate(&model), None);
    model.take(connections(6000, 2), NOW);
    assert_eq!(rate(&model), None);
    model.take(connections(10, 2), NOW + 1000);
    assert_eq!(rate(&model), None);
}

#[test]
fn only_what_has_changed_is_drawn() {
    let mut model = model();
    let draw = |model: &mut Model| frame(model, 80, 24, Theme::Coloured);
    assert!(model.is_stale());
    draw(&mut model);
    assert!(!model.is_stale());
    // The rate of connections is known from the second look on.
    model.take(Input::Apps(apps()), NOW + 1000);
    draw(&mut model);
    for second in 2..20 {
        model.take(Input::Apps(apps()), NOW + second * 1000);
        assert!(!model.is_stale(), "{second}");
    }
    let mut changed = apps();
    changed[0].restarts += 1;
    model.take(Input::Apps(changed), NOW + 20_000);
    assert!(model.is_stale());
}

#[test]
fn whoever_is_chosen_stays_so_and_a_neighbour_follows() {
    let mut model = model();
    press(&mut model, &[Key::Down, Key::Down, Key::Enter]);
    let mut fewer = apps();
    fewer.remove(0);
    model.take(Input::Apps(fewer.clone()), NOW);
    assert_eq!(model.apps.chosen().map(|app| app.id), Some(2));
    assert_eq!(model.page, Page::Details);
    fewer.remove(1);
    let wishes = model.take(Input::Apps(fewer), NOW);
    assert_eq!(model.apps.chosen().map(|app| app.id), Some(3));
    // There are no details of what is gone.
    assert_eq!(model.page, Page::Overview);
    followed(&wishes);
    assert_eq!(model.take(Input::Apps(Vec::new()), NOW), [Wish::Unfollow]);
    assert_eq!(model.apps.chosen(), None);
}

#[test]
fn a_daemon_that_goes_is_told_and_one_that_comes_is_taken() {
    let mut model = model();
    model.take(Input::Lost("gone".to_owned()), NOW + 1000);
    model.take(Input::Lost("still gone".to_owned()), NOW + 5000);
    let since_ms = NOW + 1000;
    let why = "still gone".to_owned();
    assert_eq!(model.link, Link::Lost { since_ms, why });
    // What was known last is still there, and no log is asked for.
    assert_eq!(model.apps.all().len(), 4);
    assert_eq!(press(&mut model, &[Key::Down]), []);
    let wishes = model.take(Input::Found(daemon()), NOW + 9000);
    followed(&wishes);
    assert_eq!(model.link, Link::Up);
    let wishes = model.take(Input::Apps(apps()), NOW + 9000);
    let recalled = wishes.iter().filter(|wish| matches!(wish, Wish::Recall(_)));
    assert_eq!(recalled.count(), 4);
}

#[test]
fn a_log_that_ends_is_asked_for_again_and_read_once() {
    let mut model = model();
    let follow = followed(&press(&mut model, &[Key::Down]));
    let line = || vec![log_line("out", "one")];
    model.take(
        Input::Lines {
            follow,
            lines: line(),
        },
        NOW,
    );
    let why = Some("the daemon went away".to_owned());
    model.take(
        Input::LinesEnded {
            follow,
            why: why.clone(),
        },
        NOW,
    );
    assert_eq!(model.log.state, State::Ended(why));
    let again = followed(&model.take(Input::Apps(apps()), NOW));
    assert_ne!(again, follow);
    // What comes late of the one before is not wanted.
    model.take(
        Input::Lines {
            follow,
            lines: line(),
        },
        NOW,
    );
    assert_eq!(model.log.lines().len(), 1);
    model.take(
        Input::Lines {
            follow: again,
            lines: line(),
        },
        NOW,
    );
    assert_eq!(model.log.lines().len(), 1);
    model.take(
        Input::Lines {
            follow: again,
            lines: line(),
        },
        NOW,
    );
    assert_eq!(model.log.lines().len(), 2);
}

#[test]
fn a_log_takes_no_more_memory_than_it_may() {
    let mut model = model();
    let follow = followed(&press(&mut model, &[Key::Down]));
    for _ in 0..30 {
        let lines = vec![log_line("out", &"ü".repeat(100_000)); 100];
        model.take(Input::Lines { follow, lines }, NOW);
    }
    assert_eq!(model.log.lines().len(), KEPT);
    assert!(
        model
            .log
            .lines()
            .iter()
            .all(|line| line.line.len() < 10_000)
    );
}

#[test]
fn the_past_is_put_in_its_place_and_not_told_twice() {
    let mut model = model();
    model.take(
        Input::Event(event(5, "web", "web was started", "info")),
        NOW,
    );
    let past = || Input::Past {
        app: "web".to_owned(),
        past: vec![
            incident(3, Reason::Crash, "worker 4 ended with 1"),
            incident(5, Reason::Operator, "web was started"),
        ],
    };
    model.take(past(), NOW);
    model.take(past(), NOW);
    let told: Vec<&str> = model.events.all().iter().map(|one| &*one.message).collect();
    assert_eq!(told, ["worker 4 ended with 1", "web was started"]);
}

#[test]
fn ends_are_told_and_forgotten_and_problems_are_read() {
    let mut model = model();
    press(&mut model, &[Key::Char('r'), Key::Enter]);
    let news = Progress::Done {
        app: "web".to_owned(),
        text: "2 workers ready".to_owned(),
    };
    model.take(Input::Progress { deed: 1, news }, NOW + 2000);
    let news = Progress::End { done: 1, failed: 0 };
    model.take(Input::Progress { deed: 1, news }, NOW + 2000);
    let end = model.deeds.all()[0].end.as_ref().expect("it is done");
    assert_eq!(end.text, "2 workers ready");
    frame(&mut model, 80, 24, Theme::Coloured);
    model.take(Input::Apps(apps()), NOW + 11_000);
    assert!(model.deeds.all().is_empty() && model.is_stale());

    press(&mut model, &[Key::Char('R'), Key::Enter, Key::Char('?')]);
    let why = Problem::new(ProblemKind::Failed, "it ended with 1");
    let news = Progress::Failed {
        app: "web".to_owned(),
        problem: why.clone(),
    };
    model.take(Input::Progress { deed: 2, news }, NOW);
    let news = Progress::End { done: 0, failed: 1 };
    model.take(Input::Progress { deed: 2, news }, NOW);
    model.take(
        Input::DeedLost {
            deed: 2,
            why: why.clone(),
        },
        NOW,
    );
    // It waits until the help is closed, is told once, and other keys do not close it.
    assert!(model.problem().is_none());
    press(&mut model, &[Key::Escape]);
    assert_eq!(model.problem(), Some(&("web".to_owned(), why)));
    assert_eq!(press(&mut model, &[Key::Char('j'), Key::Char('s')]), []);
    assert!(model.problem().is_some());
    press(&mut model, &[Key::Enter]);
    assert!(model.problem().is_none() && model.dialog.is_none());
}
