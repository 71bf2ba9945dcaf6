//! `herder monit` in a real terminal: tmux is typed into, and its screen is read.

mod tmux;

use tmux::Tmux;

const APPS: &str = r#"
[apps.web]
command = ["sh", "-c", "echo hello; while sleep 0.2; do echo tick; done"]
workers = 2
"#;

/// An app runs; whoever looks on sees it and its log, and acts on it.
#[test]
fn apps_are_watched_and_acted_on() {
    let Some(tmux) = Tmux::open("acts", 80, 24) else {
        return;
    };
    tmux.file("herder.toml", APPS);
    tmux.herder(&["start", "herder.toml"]);
    tmux.types("$HERDER monit\r");
    tmux.shows(&[
        "Apps (1)",
        "web",
        "online",
        "2/2",
        "Log of web: live",
        "| tick",
    ]);

    // Nothing happens without a yes.
    tmux.types("r");
    tmux.shows(&["Reload web?"]);
    tmux.types("n");
    tmux.hides(&["Reload web?", "reloading"]);
    tmux.types("+");
    tmux.shows(&["Scale web to 3 workers?"]);
    tmux.types("\r");
    tmux.shows(&["✓ scaling web", "3/3"]);
    tmux.types("r\r");
    tmux.shows(&["✓ reloading web", "generation 2"]);

    tmux.types("/hello\r");
    tmux.shows(&["with \"hello\"", "| hello"]);
    tmux.hides(&["| tick"]);
    tmux.types("l");
    tmux.hides(&["Apps (1)"]);
    tmux.types("l");
    tmux.types("\r");
    tmux.shows(&["Details of web", "generation    2"]);
    tmux.types("\r");

    tmux.size(50, 12);
    tmux.shows(&["herder monit needs 60x15", "this is 50x12"]);
    tmux.size(130, 40);
    tmux.shows(&["Apps (1)", "tab part"]);

    tmux.types("s\r");
    tmux.shows(&["stopped", "It does not run."]);
    tmux.types("q");
    tmux.is_given_back();
}

/// A daemon that goes away is told and waited for; whatever ends it, the terminal is given back.
#[test]
fn a_daemon_that_goes_is_waited_for() {
    let Some(tmux) = Tmux::open("waits", 80, 24) else {
        return;
    };
    tmux.file("herder.toml", APPS);
    tmux.herder(&["start", "herder.toml"]);
    tmux.types("$HERDER monit\r");
    tmux.shows(&["online", "2/2"]);
    tmux.herder(&["kill", "--leave-apps"]);
    tmux.shows(&["no daemon for", "waiting for it", "web"]);
    // What is asked for meanwhile fails, and says so. The daemon is not started by it.
    tmux.types("R\r");
    tmux.shows(&["✗ restarting web", "enter: go on"]);
    tmux.types("\r");
    tmux.hides(&["enter: go on"]);
    tmux.herder(&["ping"]);
    tmux.shows(&["1 online", "Log of web: live", "| tick"]);
    tmux.hides(&["no daemon for"]);

    tmux.ends_what_runs();
    tmux.is_given_back();
}

/// Without a terminal there is one error, and what to do instead.
#[test]
fn without_a_terminal_it_names_the_list() {
    for arguments in [&["monit"][..], &["dash"], &["dashboard", "--json"]] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_herder"))
            .args(arguments)
            .env("HERDER_HOME", "/nowhere/at/all")
            .stdin(std::process::Stdio::null())
            .output()
            .expect("the command is there");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.contains("herder list") && said.contains("terminal"),
            "{said}"
        );
        assert!(output.stdout.is_empty());
    }
}
