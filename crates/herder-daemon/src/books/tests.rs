//! What is decided, case by case.

use std::collections::BTreeMap;

use herder_api::App;
use herder_api::control::{Apply, Progress, StepKind};
use herder_api::herd::HerdRequest;
use herder_api::problem::ProblemKind;
use herder_api::status::{AppPhase, HerdStatus, SlotStatus, Verdict, WorkerStatus};

use super::entry::Pace;
use super::word::{Definition, Do, End, Ending, News, Now, Todo};
use super::{Books, Choice, Places, Rest};

fn books() -> Books {
    let places = Places {
        run: "/run".into(),
        logs: "/logs".into(),
    };
    Books::new(places, 4, "boot".to_owned())
}

fn app(name: &str) -> App {
    App {
        name: name.to_owned(),
        script: Some("/srv/app.js".into()),
        ..App::default()
    }
}

fn definition(app: App) -> Definition {
    Definition {
        app,
        inherited: BTreeMap::new(),
        profile: None,
        source: None,
    }
}

fn at(mono: u64) -> Now {
    Now { mono, wall: mono }
}

fn status(phases: &[&str]) -> Box<HerdStatus> {
    let slot = |phase: &&str| SlotStatus {
        workers: vec![WorkerStatus {
            phase: (*phase).to_owned(),
            ..WorkerStatus::default()
        }],
        restarts: 2,
        ..SlotStatus::default()
    };
    Box::new(HerdStatus {
        wanted: u16::try_from(phases.len()).unwrap(),
        slots: phases.iter().map(slot).collect(),
        ..HerdStatus::default()
    })
}

fn actions(books: &mut Books) -> Vec<Do> {
    std::iter::from_fn(|| books.poll_action()).collect()
}

fn gone(signal: i32) -> News {
    News::Gone {
        end: End::Signal(signal),
        complaint: Vec::new(),
    }
}

/// Books with one app that is online, in its first life.
fn online() -> Books {
    let mut books = books();
    let id = books.add(definition(app("web")), at(0));
    books.begin(vec![vec![(id, Todo::Start)]], at(0));
    books.news(0, 1, News::Connected(status(&["ready"])), at(10));
    actions(&mut books);
    assert_eq!(books.status(0, at(10)).unwrap().phase, AppPhase::Online);
    books
}

#[test]
fn a_herd_that_keeps_dying_is_started_ever_later_up_to_a_minute() {
    let mut books = online();
    let mut now = 10;
    for (life, seconds) in (1..).zip([1, 2, 4, 8, 16, 32, 60, 60]) {
        books.news(0, life, gone(9), at(now));
        assert_eq!(books.timeout(), Some(now + seconds * 1000));
        books.tick(at(now + seconds * 1000 - 1));
        let early = actions(&mut books);
        assert!(
            !early.iter().any(|it| matches!(it, Do::Launch { .. })),
            "{early:?}"
        );
        now += seconds * 1000;
        books.tick(at(now));
        let due = actions(&mut books);
        assert!(
            due.iter().any(|it| matches!(it, Do::Launch { .. })),
            "{due:?}"
        );
        books.news(0, life + 1, News::Connected(status(&["ready"])), at(now));
    }
    // One that was well for a minute begins anew.
    now += 60_000;
    books.news(0, 9, gone(9), at(now));
    assert_eq!(books.timeout(), Some(now + 1000));
    let told = books.status(0, at(now)).unwrap();
    assert_eq!(told.phase, AppPhase::Errored);
    assert_eq!(
        told.note.as_deref(),
        Some("its keeper was ended by SIGKILL; it is tried again in 1 s")
    );
    assert_eq!((told.restarts, told.failures), (9 + 9 * 2, 9));
}

#[test]
fn a_keeper_that_is_killed_at_its_start_is_started_again_a_few_times() {
    let mut books = books();
    let id = books.add(definition(app("web")), at(0));
    books.begin(vec![vec![(id, Todo::Start)]], at(0));
    let mut now = 10;
    for (life, seconds) in (1..).zip([1, 2, 4]) {
        books.news(0, life, gone(9), at(now));
        assert_eq!(books.timeout(), Some(now + seconds * 1000), "{life}");
        now += seconds * 1000;
        books.tick(at(now));
        let due = actions(&mut books);
        assert!(
            due.iter().any(|it| matches!(it, Do::Launch { .. })),
            "{due:?}"
        );
    }
    books.news(0, 4, gone(9), at(now));
    assert_eq!(books.timeout(), None);
    assert_eq!(books.status(0, at(now)).unwrap().phase, AppPhase::Errored);
}

#[test]
fn what_the_written_list_does_not_know_yet_waits_for_it() {
    let mut books = books();
    let id = books.add(definition(app("web")), at(0));
    books.begin(vec![vec![(id, Todo::Start)]], at(0));
    let ahead = |books: &mut Books| {
        let all = actions(books);
        let launch = all.iter().find(|it| matches!(it, Do::Launch { .. }));
        let is_ahead = books.may_go_ahead(launch.expect("it is started"));
        books.note_written();
        is_ahead
    };
    // No list has it: the next daemon knows it by its order.
    assert!(ahead(&mut books));
    books.news(0, 1, News::Connected(status(&["ready"])), at(10));
    books.begin(vec![vec![(id, Todo::Stop(Pace::AtOnce))]], at(20));
    books.news(0, 1, gone(9), at(30));
    actions(&mut books);
    // The list has it as something else, and would have it started as that.
    let mut next = definition(app("web"));
    next.app.args.push("new".to_owned());
    let todo = Todo::Restart(Some(Box::new(next)));
    books.begin(vec![vec![(id, todo)]], at(40));
    assert!(!ahead(&mut books));
    // As it stands in the list it need not wait.
    books.begin(vec![vec![(id, Todo::Restart(None))]], at(50));
    books.news(0, 2, gone(9), at(60));
    assert!(ahead(&mut books));
}

#[test]
fn a_reload_that_another_master_goes_on_with_is_over_when_that_one_says_so() {
    let mut books = online();
    books.begin(vec![vec![(0, Todo::Reload(None))]], at(20));
    actions(&mut books);
    books.news(0, 1, News::Lost, at(30));
    let mut busy = status(&["ready"]);
    busy.busy = true;
    books.news(0, 1, News::Connected(busy), at(40));
    assert_eq!(books.status(0, at(40)).unwrap().phase, AppPhase::Reloading);
    let mut over = status(&["ready"]);
    over.verdict = Some(Verdict {
        operation: "reload".to_owned(),
        outcome: "done".to_owned(),
        generation: 2,
        reason: String::new(),
        last_lines: Vec::new(),
        at: "2026-11-21T10:00:00Z".to_owned(),
        took_ms: 20,
    });
    books.news(0, 1, News::Status(over), at(50));
    assert_eq!(books.status(0, at(50)).unwrap().phase, AppPhase::Online);
    let told = actions(&mut books);
    let done = told.iter().any(|it| {
        matches!(it, Do::Tell { progress: Progress::Done { text, .. }, .. } if text.contains("generation 2"))
    });
    assert!(done, "{told:?}");
}

#[test]
fn late_news_of_an_earlier_life_change_nothing() {
    let mut books = online();
    books.news(0, 1, gone(9), at(20));
    books.tick(at(2000));
    actions(&mut books);
    let before = format!("{books:?}");
    for news in [
        gone(11),
        News::Connected(status(&["ready"])),
        News::Lost,
        News::Absent,
    ] {
        books.news(0, 1, news, at(2001));
    }
    assert_eq!(format!("{books:?}"), before);
}

#[test]
fn some_workers_in_quarantine_are_a_degraded_app_that_is_started() {
    let mut books = books();
    let id = books.add(definition(app("web")), at(0));
    books.begin(vec![vec![(id, Todo::Start)]], at(0));
    let mut herd = status(&["ready", "starting"]);
    books.news(0, 1, News::Connected(herd.clone()), at(5));
    assert_eq!(books.status(0, at(5)).unwrap().phase, AppPhase::Starting);
    herd.slots[1].workers.clear();
    herd.slots[1].rests = "quarantined".to_owned();
    books.news(0, 1, News::Status(herd), at(6));
    let told = actions(&mut books);
    let is_note = |it: &&Do| {
        matches!(
            it,
            Do::Tell {
                progress: Progress::Note { .. },
                ..
            }
        )
    };
    assert_eq!(told.iter().filter(is_note).count(), 1, "{told:?}");
    assert_eq!(books.status(0, at(6)).unwrap().phase, AppPhase::Degraded);
}

#[test]
fn a_degraded_app_says_why_and_until_when() {
    let mut books = online();
    let mut herd = status(&["ready", "ready", "ready"]);
    let mut rest = |slot: usize, rests: &str, retry_in_ms| {
        let place = &mut herd.slots[slot];
        place.slot = u16::try_from(slot).unwrap();
        place.workers.clear();
        place.rests = rests.to_owned();
        place.failures = 6;
        place.retry_in_ms = retry_in_ms;
    };
    rest(1, "waiting", Some(3000));
    let how = "worker 1 #7 [99] died: exit status 1 (crash)".to_owned();
    books.news(0, 1, News::Died { slot: 1, how }, at(100));
    books.news(0, 1, News::Status(herd.clone()), at(100));
    let told = |books: &Books, now| {
        let status = books.status(0, at(now)).unwrap();
        assert_eq!(status.phase, AppPhase::Degraded);
        status.note.unwrap()
    };
    assert_eq!(
        told(&books, 1100),
        "slot 1 is empty until the next start; the next try is in 2 s; \
         the last one: worker 1 #7 [99] died: exit status 1 (crash)"
    );
    herd.slots[1].rests = "quarantined".to_owned();
    herd.slots[1].retry_in_ms = Some(60_000);
    books.news(0, 1, News::Status(herd.clone()), at(2000));
    assert_eq!(
        told(&books, 12_000),
        "slot 1 is in quarantine, as workers died there too often; the next try is in 50 s; \
         the last one: worker 1 #7 [99] died: exit status 1 (crash)"
    );
    herd.slots[2] = herd.slots[1].clone();
    herd.slots[2].slot = 2;
    herd.slots[2].retry_in_ms = Some(90_000);
    books.news(0, 1, News::Status(herd), at(20_000));
    assert!(told(&books, 20_000).starts_with("slots 1, 2 are in quarantine"));
    books.news(0, 1, News::Status(status(&["ready"])), at(30_000));
    assert_eq!(books.status(0, at(30_000)).unwrap().note, None);
}

#[test]
fn a_keeper_that_was_killed_is_told_with_nothing_that_was_said_before() {
    for end in [End::Signal(9), End::Unknown] {
        let mut books = online();
        let complaint = vec!["herder: took over 2 workers".to_owned()];
        let end = end.clone();
        books.news(0, 1, News::Gone { end, complaint }, at(20));
        let note = books.status(0, at(20)).unwrap().note.unwrap();
        assert!(!note.contains("took over"), "{note}");
        assert!(note.starts_with("its keeper"), "{note}");
    }
}

#[test]
fn a_herd_that_does_not_end_is_ended_with_ever_more_force() {
    let mut books = online();
    books.begin(vec![vec![(0, Todo::Stop(Pace::InOrder))]], at(100));
    let told = actions(&mut books);
    let asked = told.iter().any(|it| {
        matches!(
            it,
            Do::Ask {
                what: HerdRequest::Stop { fast: false },
                ..
            }
        )
    });
    assert!(asked, "{told:?}");
    let mut now = 100 + 30_000 + 15_000;
    for how in [Ending::Fast, Ending::Kill] {
        assert_eq!(books.timeout(), Some(now));
        books.tick(at(now));
        let told = actions(&mut books);
        assert!(
            told.contains(&Do::End {
                id: 0,
                life: 1,
                how
            }),
            "{told:?}"
        );
        now += 15_000;
    }
    books.news(0, 1, gone(9), at(now));
    assert_eq!(books.status(0, at(now)).unwrap().phase, AppPhase::Stopped);
}

#[test]
fn a_master_that_never_greets_is_given_up() {
    let mut books = books();
    let id = books.add(definition(app("web")), at(0));
    books.begin(vec![vec![(id, Todo::Start)]], at(0));
    books.tick(at(30_000));
    let told = actions(&mut books);
    assert!(
        told.contains(&Do::End {
            id: 0,
            life: 1,
            how: Ending::Fast
        }),
        "{told:?}"
    );
    books.news(0, 1, gone(9), at(30_001));
    let told = books.status(0, at(30_001)).unwrap();
    assert_eq!(told.phase, AppPhase::Errored);
    assert!(told.note.unwrap().contains("did not say a word"));
}

#[test]
fn targets_are_names_numbers_namespaces_patterns_and_all() {
    let mut books = books();
    for (name, namespace) in [
        ("web", "front"),
        ("api", "back"),
        ("1", "back"),
        ("worker", "back"),
    ] {
        let mut app = app(name);
        app.namespace = namespace.to_owned();
        books.add(definition(app), at(0));
    }
    let choose = |target: &str| books.choose(&[target.to_owned()], Choice::Explicit);
    for (target, expected) in [
        ("web", vec![0]),
        ("0", vec![0]),
        // A name goes before a number.
        ("1", vec![2]),
        ("back", vec![1, 2, 3]),
        ("all", vec![0, 1, 2, 3]),
        ("/^w/", vec![0, 3]),
        ("/e(b|r)$/", vec![0, 3]),
    ] {
        assert_eq!(choose(target), Ok(expected), "{target}");
    }
    for (target, hint) in [
        ("wbe", Some("did you mean web?")),
        ("frnt", Some("did you mean front?")),
        ("zzzzzz", Some("herder list shows what there is")),
        ("9", Some("herder list shows what there is")),
        ("//", Some("herder list shows what there is")),
    ] {
        let problem = choose(target).unwrap_err();
        assert_eq!(problem.kind, ProblemKind::NotFound);
        if target.len() > 2 {
            assert_eq!(problem.hint.as_deref(), hint, "{target}");
        }
    }
    // A pattern that would need much room is refused at once.
    let huge = choose("/(((a{100}){100}){100}){100}/").unwrap_err();
    assert_eq!(huge.kind, ProblemKind::Invalid);
    let both = ["web".to_owned(), "/^w/".to_owned()];
    assert_eq!(books.choose(&both, Choice::Explicit), Ok(vec![0, 3]));
}

#[test]
fn numbers_begin_anew_when_nobody_has_one() {
    let mut books = books();
    let (one, two) = (definition(app("one")), definition(app("two")));
    assert_eq!(
        (books.add(one.clone(), at(0)), books.add(two, at(0))),
        (0, 1)
    );
    books.begin(vec![vec![(0, Todo::Delete)]], at(0));
    assert_eq!(books.add(one.clone(), at(0)), 2);
    books.begin(vec![vec![(1, Todo::Delete), (2, Todo::Delete)]], at(0));
    assert_eq!(books.add(one, at(0)), 0);
}

#[test]
fn a_stop_that_a_daemon_did_not_live_to_see_is_done_by_the_next() {
    let mut before = online();
    before.begin(vec![vec![(0, Todo::Stop(Pace::InOrder))]], at(100));
    let mut books = books();
    books.restore(before.list(), at(0));
    let told = actions(&mut books);
    assert!(
        told.iter().any(|it| matches!(it, Do::Adopt { .. })),
        "{told:?}"
    );
    books.news(0, 1, News::Connected(status(&["ready"])), at(1));
    let told = actions(&mut books);
    let stops = |it: &Do| {
        matches!(
            it,
            Do::Ask {
                what: HerdRequest::Stop { .. },
                ..
            }
        )
    };
    assert!(told.iter().any(stops), "{told:?}");
    books.news(0, 1, gone(15), at(2));
    assert_eq!(books.entry(0).unwrap().rest, Rest::Stopped);
}

#[test]
fn a_plan_leaves_alone_what_somebody_has_stopped() {
    let mut books = online();
    let apply = |apps: Vec<App>| Apply {
        apps,
        environment: BTreeMap::new(),
        profile: None,
        source: Some("/srv/herder.toml".into()),
        partial: false,
        fingerprint: None,
    };
    let steps = |books: &Books, apps: Vec<App>| {
        let plan = books.draft(&apply(apps)).plan;
        plan.steps.into_iter().map(|it| it.step).collect::<Vec<_>>()
    };
    let mut other = app("web");
    other.depends_on = Vec::new();
    other.namespace = "front".to_owned();
    assert_eq!(
        steps(&books, vec![app("web"), app("new")]),
        [StepKind::Start, StepKind::Keep]
    );
    assert_eq!(steps(&books, vec![other.clone()]), [StepKind::Update]);
    books.begin(vec![vec![(0, Todo::Stop(Pace::AtOnce))]], at(20));
    books.news(0, 1, gone(15), at(30));
    assert_eq!(steps(&books, vec![app("web")]), [StepKind::Keep]);
    assert_eq!(steps(&books, vec![other]), [StepKind::Update]);
    let mut manual = app("manual");
    manual.autostart = false;
    assert_eq!(steps(&books, vec![manual]), [StepKind::Update]);
}

#[test]
fn what_the_list_says_is_read_again_as_it_was() {
    let before = online();
    let text = serde_json::to_string(&before.list()).unwrap();
    let list = serde_json::from_str(&text).unwrap();
    let mut after = books();
    after.restore(list, at(0));
    assert_eq!(after.list(), before.list());
}
