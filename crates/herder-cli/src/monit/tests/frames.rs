//! Frames, as they were found good.

use herder_api::Problem;
use herder_api::control::{Progress, Reason};
use herder_api::problem::ProblemKind;
use ratatui::style::{Color, Modifier};

use super::fixtures::{NOW, apps, detail, frame, full, incident, model, online, press, text};
use crate::monit::model::{Input, Key, Model, Wish};
use crate::monit::view::Theme;
use crate::render::snapshot;

/// What is on the screen, with its size above it.
fn shown(title: &str, model: &mut Model, (width, height): (u16, u16)) -> String {
    let buffer = frame(model, width, height, Theme::Colourless);
    format!("=== {title}, {width}x{height}\n{}", text(&buffer))
}

#[test]
fn the_overview_is_as_recorded() {
    let mut all = String::new();
    for size in [(80, 24), (60, 15), (100, 30), (160, 40), (59, 15), (30, 5)] {
        all += &shown("overview", &mut full(), size);
    }
    let mut empty = Model::default();
    all += &shown("nothing is known", &mut empty, (80, 24));
    empty.take(Input::Found(super::fixtures::daemon()), NOW);
    empty.take(Input::Apps(Vec::new()), NOW);
    all += &shown("no apps", &mut empty, (80, 24));
    let mut second = full();
    press(&mut second, &[Key::Down]);
    all += &shown("one that lacks a worker", &mut second, (80, 24));
    press(&mut second, &[Key::Down]);
    all += &shown("one that does not run", &mut second, (80, 24));
    press(&mut second, &[Key::Down, Key::Tab, Key::Tab]);
    all += &shown("one that failed, keys go to the log", &mut second, (60, 15));
    snapshot::check("monit-overview", &all);
}

#[test]
fn pages_and_dialogs_are_as_recorded() {
    let mut all = String::new();
    for keys in [
        &[Key::Char('?')][..],
        &[Key::Char('r')],
        &[Key::Char('+'), Key::Char('+')],
        &[Key::Char('/'), Key::Tab, Key::Char('b'), Key::Char('o')],
        &[Key::Char('l')],
    ] {
        for size in [(80, 24), (60, 15)] {
            let mut model = full();
            press(&mut model, keys);
            all += &shown(&format!("{keys:?}"), &mut model, size);
        }
    }
    let mut details = full();
    press(&mut details, &[Key::Enter]);
    all += &shown("details that are not known yet", &mut details, (80, 24));
    details.take(Input::Detail(Box::new(detail())), NOW);
    let app = "web".to_owned();
    let past = vec![incident(3, Reason::Crash, "worker 4 ended with 1")];
    details.take(Input::Past { app, past }, NOW);
    all += &shown("details", &mut details, (80, 40));
    all += &shown("details", &mut details, (80, 24));
    press(&mut details, &[Key::End]);
    all += &shown("the end of them", &mut details, (80, 24));
    snapshot::check("monit-pages", &all);
}

#[test]
fn progress_and_outcomes_are_as_recorded() {
    let mut model = full();
    let wishes = press(&mut model, &[Key::Char('r'), Key::Enter]);
    let Some(Wish::Act { deed, .. }) = wishes.first() else {
        panic!("{wishes:?}");
    };
    let deed = *deed;
    let mut all = shown("asked", &mut model, (80, 24));
    let slot = |slot, phase: &str| Progress::Slot {
        app: "web".to_owned(),
        slot,
        phase: phase.to_owned(),
        pid: Some(17),
    };
    for news in [slot(0, "ready"), slot(1, "starting")] {
        model.take(Input::Progress { deed, news }, NOW + 3500);
    }
    all += &shown("under way", &mut model, (80, 24));
    let mut why = Problem::new(ProblemKind::BootFailed, "web: no worker became ready")
        .hint("look at `herder logs web`");
    why.last_lines = vec!["Error: \u{1b}[31mno such \u{7}module".to_owned()];
    let mut failing = full();
    press(&mut failing, &[Key::Char('R'), Key::Char('y')]);
    failing.take(Input::DeedLost { deed, why }, NOW + 4000);
    for size in [(80, 24), (60, 15)] {
        all += &shown("failed", &mut failing, size);
    }
    let news = Progress::Done {
        app: "web".to_owned(),
        text: "2 workers ready in 310 ms".to_owned(),
    };
    model.take(Input::Progress { deed, news }, NOW + 4000);
    all += &shown("done", &mut model, (80, 24));
    let why = "No daemon answers at /home/me/.herder/herder.sock.".to_owned();
    model.take(Input::Lost(why.clone()), NOW + 5000);
    model.take(Input::Lost(why), NOW + 17_000);
    all += &shown("the daemon is gone", &mut model, (80, 24));
    snapshot::check("monit-progress", &all);
}

#[test]
fn without_colours_there_are_none_and_with_them_some() {
    let colours = |theme| {
        let mut model = full();
        press(&mut model, &[Key::Char('r')]);
        let buffer = frame(&mut model, 80, 24, theme);
        let cells = buffer.content.iter();
        cells
            .filter(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
            .count()
    };
    assert_eq!(colours(Theme::Colourless), 0);
    assert!(colours(Theme::Coloured) > 20);
}

#[test]
fn the_chosen_app_is_seen_without_colours() {
    let mut model = model();
    let buffer = frame(&mut model, 80, 24, Theme::Colourless);
    let reversed = |row: u16| buffer[(2, row)].modifier.contains(Modifier::REVERSED);
    assert!(reversed(3) && !reversed(4), "{}", text(&buffer));
}

#[test]
fn the_chosen_of_many_apps_is_always_on_the_screen() {
    let mut model = model();
    let many = (0..100).map(|id| online(id, &format!("app-{id}")));
    model.take(Input::Apps(many.collect()), NOW);
    for place in 0..100 {
        for (width, height) in [(60, 15), (80, 24), (160, 50)] {
            let buffer = frame(&mut model, width, height, Theme::Coloured);
            let seen =
                (0..height).any(|row| buffer[(0, row)].modifier.contains(Modifier::REVERSED));
            assert!(seen, "{place} at {width}x{height}:\n{}", text(&buffer));
        }
        press(&mut model, &[Key::Down]);
    }
}

#[test]
fn nothing_that_a_terminal_would_obey_is_drawn_at_any_size() {
    let hostile = "\u{1b}]0;x\u{7}\u{9b}31m\u{202e}\r\n\t漢字\u{0}e\u{301}".repeat(9);
    let mut apps = apps();
    for app in &mut apps {
        app.name = hostile.clone();
        app.note = Some(hostile.clone());
    }
    let mut model = full();
    let follow = super::fixtures::followed(&model.take(Input::Apps(apps), NOW));
    let lines = vec![super::fixtures::log_line("out", &hostile); 50];
    model.take(Input::Lines { follow, lines }, NOW);
    let news = super::fixtures::event(9, &hostile, &hostile, &hostile);
    model.take(Input::Event(news), NOW);
    model.take(Input::Lost(hostile.clone()), NOW);
    for keys in [&[][..], &[Key::Char('l')], &[Key::Enter], &[Key::Char('s')]] {
        press(&mut model, keys);
        for width in (1..130).step_by(6).chain(58..62) {
            for height in [1, 2, 5, 14, 15, 16, 19, 24, 60] {
                let buffer = frame(&mut model, width, height, Theme::Coloured);
                for cell in &buffer.content {
                    let text = cell.symbol();
                    let evil = text.chars().any(|c| c.is_control() || c == '\u{202e}');
                    assert!(!evil, "{text:?} at {width}x{height}");
                }
            }
        }
    }
}
