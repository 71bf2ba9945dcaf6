//! What keys do.

use herder_api::control::{ScaleTo, Verb};
use herder_client::LogStream;

use super::fixtures::{NOW, frame, full, log_line, model, press, text};
use crate::monit::model::dialog::{Dialog, What};
use crate::monit::model::{Input, Key, Model, Page, Pane, Wish};
use crate::monit::view::Theme;

fn chosen(model: &Model) -> &str {
    &model.apps.chosen().expect("there are apps").name
}

fn verb(wishes: &[Wish]) -> Option<&Verb> {
    wishes.iter().find_map(|wish| {
        let Wish::Act { action, .. } = wish else {
            return None;
        };
        Some(&action.verb)
    })
}

#[test]
fn arrows_choose_and_stop_at_the_ends() {
    let mut model = model();
    for (key, name) in [
        (Key::Up, "web"),
        (Key::Down, "api"),
        (Key::Char('j'), "mail"),
        (Key::Char('k'), "api"),
        (Key::End, "bill\u{1b}[2Jing"),
        (Key::Down, "bill\u{1b}[2Jing"),
        (Key::Char('g'), "web"),
        (Key::PageDown, "bill\u{1b}[2Jing"),
    ] {
        press(&mut model, &[key]);
        assert_eq!(chosen(&model), name, "{key:?}");
    }
}

#[test]
fn the_log_of_whoever_is_chosen_is_followed() {
    let mut model = model();
    let wishes = press(&mut model, &[Key::Down]);
    let [Wish::Follow { query, .. }] = &wishes[..] else {
        panic!("{wishes:?}");
    };
    assert_eq!(query.targets, ["api"]);
    assert!(query.follow && query.contains.is_none());
    // Nothing else makes it begin anew.
    assert!(press(&mut model, &[Key::Tab, Key::Char('l'), Key::Up]).is_empty());
}

#[test]
fn nothing_is_done_without_being_asked_again() {
    for (key, wanted) in [
        ('r', Verb::Reload),
        ('R', Verb::Restart),
        ('s', Verb::Stop { now: false }),
        ('S', Verb::Start),
        ('+', Verb::Scale(ScaleTo::To(3))),
        ('-', Verb::Scale(ScaleTo::To(1))),
    ] {
        for no in [Key::Escape, Key::Char('n'), Key::Char('q')] {
            let mut model = model();
            assert_eq!(press(&mut model, &[Key::Char(key), no]), []);
            assert!(model.dialog.is_none() && model.deeds.all().is_empty());
        }
        for yes in [Key::Enter, Key::Char('y')] {
            let mut model = model();
            assert_eq!(press(&mut model, &[Key::Char(key)]), []);
            // Other keys neither answer nor get through.
            for other in [Key::Char('j'), Key::Char('l'), Key::Tab, Key::Char('S')] {
                assert_eq!(press(&mut model, &[other]), []);
            }
            let wishes = press(&mut model, &[yes]);
            assert_eq!(verb(&wishes), Some(&wanted));
            assert_eq!(chosen(&model), "web");
            assert_eq!(model.deeds.all().len(), 1);
        }
    }
}

#[test]
fn the_number_of_workers_can_be_changed_until_it_is_confirmed() {
    let mut model = model();
    press(
        &mut model,
        &[Key::Char('+'), Key::Char('+'), Key::Up, Key::Char('-')],
    );
    let wishes = press(&mut model, &[Key::Enter]);
    assert_eq!(verb(&wishes), Some(&Verb::Scale(ScaleTo::To(4))));
    press(&mut model, &[Key::Char('-')]);
    press(&mut model, &[Key::Char('-'); 300]);
    let Some(Dialog::Confirm(proposal)) = &model.dialog else {
        panic!("{:?}", model.dialog);
    };
    // None at all is what `stop` is for.
    assert_eq!(proposal.what, What::Scale { from: 2, to: 1 });
}

#[test]
fn without_apps_there_is_nothing_to_do() {
    let mut model = Model::default();
    for key in ['r', 'R', 's', 'S', '+', '-', 'j', 'l'] {
        assert_eq!(press(&mut model, &[Key::Char(key)]), []);
        assert!(model.dialog.is_none());
    }
    assert_eq!(press(&mut model, &[Key::Enter]), []);
    assert_eq!(press(&mut model, &[Key::Char('q')]), [Wish::Quit]);
}

#[test]
fn it_ends_by_q_and_at_any_time_by_an_interrupt() {
    assert_eq!(press(&mut model(), &[Key::Char('q')]), [Wish::Quit]);
    for before in [Key::Char('?'), Key::Char('r'), Key::Char('/'), Key::Enter] {
        let mut model = model();
        press(&mut model, &[before]);
        assert_eq!(press(&mut model, &[Key::Interrupt]), [Wish::Quit]);
    }
}

#[test]
fn pages_are_opened_and_left() {
    let mut model = model();
    let wishes = press(&mut model, &[Key::Enter]);
    let web = "web".to_owned();
    assert_eq!(wishes, [Wish::Look(web.clone()), Wish::Recall(web)]);
    assert_eq!(model.page, Page::Details);
    press(&mut model, &[Key::Escape]);
    assert_eq!(model.page, Page::Overview);
    press(&mut model, &[Key::Char('l')]);
    assert_eq!(model.page, Page::Log);
    press(&mut model, &[Key::Char('l')]);
    assert_eq!(model.page, Page::Overview);
    for pane in [Pane::Workers, Pane::Log, Pane::Events, Pane::Apps] {
        press(&mut model, &[Key::Tab]);
        assert_eq!(model.pane, pane);
    }
    press(&mut model, &[Key::BackTab]);
    assert_eq!(model.pane, Pane::Events);
}

#[test]
fn a_filter_is_typed_and_asked_for() {
    let mut model = full();
    let typed = [
        Key::Char('/'),
        Key::Tab,
        Key::Tab,
        Key::Char('q'),
        Key::Char('r'),
    ];
    assert_eq!(press(&mut model, &typed), []);
    model.take(Input::Pasted("\u{1b}x y\nq".to_owned()), NOW);
    assert_eq!(press(&mut model, &[Key::Backspace]), []);
    let wishes = press(&mut model, &[Key::Enter]);
    let [Wish::Follow { query, .. }] = &wishes[..] else {
        panic!("{wishes:?}");
    };
    assert_eq!(query.stream, Some(LogStream::Error));
    assert_eq!(query.contains.as_deref(), Some("qr\u{1b}x "));
    assert!(model.log.lines().is_empty());
    // Given up, it stays as it was; left, it is gone.
    assert_eq!(
        press(&mut model, &[Key::Char('/'), Key::Erase, Key::Escape]),
        []
    );
    let wishes = press(&mut model, &[Key::Escape]);
    let [Wish::Follow { query, .. }] = &wishes[..] else {
        panic!("{wishes:?}");
    };
    assert_eq!((query.stream, query.contains.as_deref()), (None, None));
}

#[test]
fn what_is_pasted_is_no_command() {
    let mut model = model();
    assert_eq!(model.take(Input::Pasted("ryRyq".to_owned()), NOW), []);
    assert!(model.dialog.is_none() && model.deeds.all().is_empty());
}

#[test]
fn who_looks_back_in_the_log_is_not_carried_on() {
    let mut model = model();
    let follow = super::fixtures::followed(&press(&mut model, &[Key::Down]));
    let lines = |from: usize, to: usize| Input::Lines {
        follow,
        lines: (from..to)
            .map(|n| log_line("out", &format!("line {n}.")))
            .collect(),
    };
    model.take(lines(0, 100), NOW);
    press(&mut model, &[Key::Char('l')]);
    let page = |model: &mut Model| text(&frame(model, 80, 24, Theme::Colourless));
    assert!(page(&mut model).contains("line 99."));
    press(&mut model, &[Key::PageUp]);
    let before = page(&mut model);
    assert!(before.contains("line 89.") && !before.contains("line 90."));
    model.take(lines(100, 110), NOW);
    let after = page(&mut model);
    assert!(after.contains("line 89.") && !after.contains("line 90."));
    // The first lines fill the page, and a step down from there is seen.
    press(&mut model, &[Key::Home, Key::Home]);
    assert!(page(&mut model).contains("line 0."));
    press(&mut model, &[Key::Down]);
    assert!(!page(&mut model).contains("line 0."));
    press(&mut model, &[Key::End]);
    assert!(page(&mut model).contains("line 109."));
    press(&mut model, &[Key::Right]);
    assert!(!page(&mut model).contains("line 109."));
}
