//! What verbs that act do by their options.

use std::fs;

use herder_api::status::AppPhase;

use super::super::kit::{Place, attempt, lives, pids};
use super::{Ran, ended};

const IDLES: &str = "exec sleep 1000";

/// Runs the command with another value of a variable.
fn with(place: &Place, value: &str, line: &str) -> Ran {
    let mut command = place.herder(line.split_whitespace());
    ended(command.env("MOOD", value))
}

/// The value that the workers of an app have.
fn mood(place: &Place, name: &str) -> Option<String> {
    let pid = pids(&place.app(name))[0];
    // In the moment in which it executes its program it has none.
    let read = || fs::read(format!("/proc/{pid}/environ")).unwrap();
    let environment = attempt(|| Some(read()).filter(|it| !it.is_empty())).unwrap_or_default();
    let mut variables = environment.split(|byte| *byte == 0);
    let value = variables.find_map(|it| it.strip_prefix(b"MOOD="))?;
    Some(String::from_utf8_lossy(value).into_owned())
}

#[test]
fn verbs_that_act_do_as_their_options_say() {
    let place = Place::new("o-acts");
    place.daemon();
    let start = |more: &str, value: &str| {
        let options = format!("-n web --ready-after 20ms --soak 50ms {more}");
        ended(place.starting(&options, IDLES).env("MOOD", value))
    };
    assert_eq!(start("", "one").status, Some(0));
    let first = pids(&place.app("web"));
    // It is known: nothing is done to it without force.
    let again = start("", "two");
    assert_eq!(again.status, Some(1), "{again:?}");
    assert_eq!(pids(&place.app("web")), first);
    assert_eq!(start("--force", "two").status, Some(0));
    assert_ne!(pids(&place.app("web")), first);
    assert_eq!(mood(&place, "web").as_deref(), Some("two"));

    // It keeps the environment that it has, unless another is wanted.
    for (value, line, expected) in [
        ("three", "restart web", "two"),
        ("three", "restart web --update-env", "three"),
        ("four", "reload web", "three"),
        ("four", "reload web -a", "four"),
    ] {
        let ran = with(&place, value, line);
        assert_eq!(ran.status, Some(0), "{line}: {ran:?}");
        place.until("web", |it| pids(it).len() == 1);
        assert_eq!(mood(&place, "web").as_deref(), Some(expected), "{line}");
    }
    place.does("stop web");
    assert_eq!(with(&place, "five", "start web").status, Some(0));
    assert_eq!(mood(&place, "web").as_deref(), Some("four"));
    place.does("stop web");
    assert_eq!(
        with(&place, "five", "start web --update-env").status,
        Some(0)
    );
    assert_eq!(mood(&place, "web").as_deref(), Some("five"));

    // A daemon that ends may leave its apps, and the next one finds them.
    let before = pids(&place.app("web"));
    let (guard, proper) = (place.guard().unwrap(), place.proper());
    place.does("kill --leave-apps");
    place.bury();
    assert!(!lives(guard) && !lives(proper) && lives(before[0]));
    assert!(place.does("list").contains("web"));
    assert_eq!(pids(&place.app("web")), before);
    place.does("kill");
    attempt(|| (!lives(before[0])).then_some(())).expect("it ends with the daemon");
}

const FILE: &str = r#"
[defaults]
command = ["sleep", "1000"]
ready_after = "20ms"
soak = "50ms"

[apps.one.profiles.night]
MOOD = "tired"

[apps.two]
"#;

#[test]
fn options_for_files_choose_apps_and_profiles() {
    let place = Place::new("o-files");
    place.daemon();
    fs::write(place.root().join("herder.toml"), FILE).unwrap();
    let names = || {
        let apps = place.wait(async { place.client().apps(&[]).await.unwrap() });
        let online = apps.into_iter().filter(|it| it.phase != AppPhase::Stopped);
        online.map(|it| it.name).collect::<Vec<String>>()
    };
    let tired = Some("tired".to_owned());
    place.does("apply --plan --only one --env night");
    assert!(names().is_empty(), "it was only shown");
    for (verb, target) in [
        ("apply", ""),
        ("start", "herder.toml"),
        ("restart", "herder.toml"),
        ("reload", "herder.toml"),
        ("start-or-restart", "herder.toml"),
        ("start-or-reload", "herder.toml"),
    ] {
        place.does(&format!("{verb} {target} --only one --env night"));
        assert_eq!(names(), ["one"], "{verb}");
        assert_eq!(mood(&place, "one"), tired, "{verb}");
        let wrong = place.tries(&format!("{verb} {target} --only three"));
        assert!(
            wrong.status == Some(5) && wrong.err.contains("three"),
            "{verb}: {wrong:?}"
        );
        let wrong = place.tries(&format!("{verb} {target} --env day"));
        assert!(
            wrong.status == Some(5) && wrong.err.contains("day"),
            "{verb}: {wrong:?}"
        );
    }
    // A profile holds as long as nobody says another.
    place.does("restart one");
    assert_eq!(mood(&place, "one"), tired);
    place.does("start herder.toml --only two");
    assert_eq!(names(), ["one", "two"]);
    place.does("stop herder.toml --only two");
    assert_eq!(names(), ["one"]);
    place.does("delete herder.toml --only one");
    assert!(place.find("one").is_none() && place.find("two").is_some());

    let checked = place.does("check --only one --env night");
    assert!(
        checked.ends_with("herder.toml: 1 app is fine\n"),
        "{checked}"
    );
    assert_eq!(place.tries("check --env day").status, Some(5));
    place.does("import herder.toml --only two --output two.toml");
    let imported = fs::read_to_string(place.root().join("two.toml")).unwrap();
    assert!(
        imported.contains("[apps.two]") && !imported.contains("[apps.one]"),
        "{imported}"
    );
}
