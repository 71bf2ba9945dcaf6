//! What is run, and which settings go together with it.

use std::path::Path;

use herder_api::App;
use herder_api::app::{Dispatch, Ready};
use herder_core::spec::ListenAddress;

use super::{Found, Wrong, proxy};

pub(super) fn check(found: &mut Found<'_>) {
    let app = found.app;
    match (&app.script, app.command.is_empty()) {
        (None, true) => found.say(
            "script",
            "say what is to run: script for a Node program, command for any other",
        ),
        (Some(_), false) => found.say("command", "there is a script, too; leave one of them out"),
        (Some(script), true) => {
            found.say_if(
                Wrong(script.as_os_str().is_empty()),
                "script",
                "it names no file",
            );
        }
        (None, false) => {
            found.say_if(
                Wrong(app.command[0].trim().is_empty()),
                "command",
                "the program has no name",
            );
        }
    }
    let texts = [
        ("command", &app.command),
        ("args", &app.args),
        ("node_args", &app.node_args),
    ];
    for (setting, texts) in texts {
        let wrong = Wrong(texts.iter().any(|text| text.contains('\0')));
        found.say_if(wrong, setting, "an argument cannot have a NUL in it");
    }
    weights(found);
    if let Err(error) = app.policy.as_deref().map_or(Ok(()), |policy| {
        policy.parse::<herder_core::spec::PickerKind>().map(|_| ())
    }) {
        found.say("policy", error);
    }
    for address in &app.listen {
        if let Err(error) = address.parse::<ListenAddress>() {
            found.say("listen", error.to_string());
        }
    }
    if let Some(name) = &app.stop_signal {
        let wrong = Wrong(crate::signal_number(name).is_none());
        found.say_if(
            wrong,
            "stop_signal",
            format!("{name:?} is no signal: use TERM, INT, QUIT, USR2 and the like"),
        );
    }
}

pub(super) fn combinations(found: &mut Found<'_>) {
    proxy::check(found);
    match (&found.app.script, found.app.command.is_empty()) {
        (Some(_), true) if found.app.dispatch != Dispatch::Proxy => of_script(found),
        (None, false) => of_command(found),
        (Some(_), true) => {}
        (Some(_), false) | (None, true) => {}
    }
}

/// What a program of Node's cluster has and has not.
fn of_script(found: &mut Found<'_>) {
    let app = found.app;
    match (&app.send_handle, app.listen.is_empty()) {
        (None, false) => found.say(
            "listen",
            "a Node program listens by itself; leave it out, or add send_handle",
        ),
        (Some(_), true) => found.say("send_handle", "say with listen where the herd listens"),
        (Some(name), false) if name.is_empty() => {
            found.say(
                "send_handle",
                "name the message that the listener goes with, such as server",
            );
        }
        (Some(_), false) if app.wait_ready => {
            found.say(
                "wait_ready",
                "with send_handle a worker is ready when it has the handle; leave one out",
            );
        }
        (None, true) | (Some(_), false) => {}
    }
    if app.listen.is_empty() {
        let cure = "server.listen({ port, backlog })";
        let message =
            format!("a Node program listens by itself, and says so: {cure}; leave it out");
        found.say_if(Wrong(app.backlog.is_some()), "backlog", message);
        let cure = "server.listen({ path, readableAll: true, writableAll: true })";
        let message =
            format!("a Node program listens by itself, and says so: {cure}; leave it out");
        found.say_if(Wrong(app.unix_mode.is_some()), "unix_mode", message);
    }
    found.say_if(
        Wrong(app.watchdog.is_some()),
        "watchdog",
        "a Node program sends no heartbeat; use health, or max_silence",
    );
    if has_own_listeners(app) {
        script_of_own_listeners(found);
    } else {
        let wrong = Wrong(app.policy.as_deref() == Some("least-loaded"));
        let message = "only the kernel looks for the worker that has least to do, with dispatch = \"kernel\"; use another, or leave it out";
        found.say_if(wrong, "policy", message);
    }
    let message = "who waits at a Node program that accepts nobody is given to the others, and nobody is killed for it; leave it out";
    found.say_if(Wrong(app.hang.is_some()), "hang", message);
    let wrong = Wrong(app.policy.as_deref() == Some("least-connections"));
    let message = "nobody counts the connections that a Node program holds open; use round-robin, two-choices or ip-hash";
    found.say_if(wrong, "policy", message);
    let wrong = Wrong(app.ready_after.is_some());
    found.say_if(
        wrong,
        "ready_after",
        "a script is ready when it listens; use listen_timeout, or wait_ready",
    );
    of_engine(found);
}

fn of_engine(found: &mut Found<'_>) {
    let app = found.app;
    let interpreter = app.interpreter.as_deref().unwrap_or_default();
    let name = Path::new(interpreter).file_name().unwrap_or_default();
    let name = name.to_string_lossy();
    let is_shared = app.dispatch == Dispatch::Shared;
    let is_own = matches!(app.dispatch, Dispatch::Kernel | Dispatch::Reuseport);
    if name.starts_with("bun") {
        let wrong = Wrong(is_own || app.dispatch == Dispatch::Pass);
        found.say_if(
            wrong,
            "dispatch",
            "bun listens for itself, and the kernel chooses the worker; leave it out",
        );
        let wrong = Wrong(app.policy.is_some());
        found.say_if(
            wrong,
            "policy",
            "bun listens for itself, and the kernel chooses the worker; leave it out",
        );
    } else if name.starts_with("deno") {
        found.say_if(
            Wrong(is_shared || is_own),
            "dispatch",
            "deno takes the listener and never serves; leave it out",
        );
    }
    if is_shared {
        uncounted(found);
    }
    let alone = [
        "-e",
        "--eval",
        "-p",
        "--print",
        "-pe",
        "-h",
        "--help",
        "--version",
    ];
    let word = |arg: &&String| {
        let name = arg.split(['=', ' ']).next().unwrap_or_default();
        alone.contains(&name)
    };
    if let Some(arg) = app.node_args.iter().find(word) {
        found.say(
            "node_args",
            format!("with {arg} the script would never run; leave it out"),
        );
    }
}

/// What a command cannot have, or not so.
fn of_command(found: &mut Found<'_>) {
    let app = found.app;
    of_scripts_alone(found);
    let wrong = Wrong(app.dispatch == Dispatch::Pass);
    let message = "a command has no channel on which connections could be passed; use \"shared\", or leave it out";
    found.say_if(wrong, "dispatch", message);
    if has_own_listeners(app) {
        of_own_listeners(found);
    } else if app.dispatch != Dispatch::Proxy {
        uncounted(found);
        found.say_if(Wrong(app.hang.is_some()), "hang", NO_HANG);
    }
    let nothing_opened = app.listen.is_empty();
    for (setting, given) in [
        ("backlog", app.backlog.is_some()),
        ("unix_mode", app.unix_mode.is_some()),
    ] {
        found.say_if(
            Wrong(nothing_opened && given),
            setting,
            "only what listen opens has it; leave it out",
        );
    }
    let wrong = Wrong(app.ready == Ready::Notify && app.ready_after.is_some());
    found.say_if(
        wrong,
        "ready_after",
        "with ready = \"notify\" the worker says so itself; leave it out",
    );
}

/// What only a script has.
fn of_scripts_alone(found: &mut Found<'_>) {
    let app = found.app;
    let given = [
        (
            "interpreter",
            app.interpreter.is_some(),
            "put it first in command",
        ),
        (
            "node_args",
            !app.node_args.is_empty(),
            "put them into command",
        ),
        ("args", !app.args.is_empty(), "put them into command"),
        (
            "wait_ready",
            app.wait_ready,
            "a command says READY=1 (ready = \"notify\")",
        ),
        (
            "listen_timeout",
            app.listen_timeout.is_some(),
            "use ready_after, or boot_timeout",
        ),
        (
            "send_handle",
            app.send_handle.is_some(),
            "a command finds its listeners by LISTEN_FDS",
        ),
        (
            "shutdown_with_message",
            app.shutdown_with_message,
            "use stop_signal",
        ),
    ];
    for (setting, is_given, cure) in given {
        found.say_if(
            Wrong(is_given),
            setting,
            format!("only a script can be told so: {cure}"),
        );
    }
}

/// Whose turn comes how often.
fn weights(found: &mut Found<'_>) {
    let app = found.app;
    let wrong = Wrong(!app.weights.is_empty() && app.dispatch != Dispatch::Kernel);
    let message = "only a program in the kernel gives turns by weight, with dispatch = \"kernel\"; leave it out";
    found.say_if(wrong, "weights", message);
    for weight in &app.weights {
        if let Err(error) = herder_core::rotation::Weight::try_from(*weight) {
            found.say("weights", error);
        }
    }
}

const NO_HANG: &str = "only a command's own listener can be looked at, with dispatch = \"kernel\" or \"reuseport\"; leave it out";

/// Whether each worker is to have a listener of its own: it was said, or follows from the policy.
fn has_own_listeners(app: &App) -> bool {
    match app.dispatch {
        Dispatch::Auto => app.policy.as_deref() == Some("least-loaded"),
        Dispatch::Kernel | Dispatch::Reuseport => true,
        Dispatch::Pass | Dispatch::Proxy | Dispatch::Shared => false,
    }
}

/// Each worker has a listener of its own.
fn of_own_listeners(found: &mut Found<'_>) {
    let app = found.app;
    found.say_if(
        Wrong(app.listen.is_empty()),
        "dispatch",
        "each worker gets a listener of its own for what listen names; add it, or use \"shared\"",
    );
    let has_one = |text: &String| {
        let address = text.parse::<ListenAddress>();
        address.is_ok_and(|it| it.has_one_listener())
    };
    found.say_if(
        Wrong(app.listen.iter().any(has_one)),
        "dispatch",
        "a Unix socket has one listener, and not one for each worker; use \"shared\"",
    );
    chosen_by_kernel(found);
}

/// Each worker gets a listener of its own when it asks for one.
fn script_of_own_listeners(found: &mut Found<'_>) {
    let message = "with send_handle the one listener is sent to every worker, and there is none for each; use \"shared\"";
    found.say_if(Wrong(found.app.send_handle.is_some()), "dispatch", message);
    chosen_by_kernel(found);
}

/// What the kernel cannot do when it chooses the worker.
fn chosen_by_kernel(found: &mut Found<'_>) {
    let app = found.app;
    let is_right = match (app.dispatch, app.policy.as_deref()) {
        (_, None) => true,
        (Dispatch::Auto | Dispatch::Kernel, Some(policy)) => {
            matches!(policy, "round-robin" | "rr" | "least-loaded")
        }
        (_, Some(_)) => false,
    };
    let message =
        "the kernel chooses the worker: in turns, or by least-loaded in kernel mode; leave it out";
    found.say_if(Wrong(!is_right), "policy", message);
    let message = "in this mode nobody counts a program's requests; use max_lifetime or max_memory";
    found.say_if(Wrong(app.max_requests.is_some()), "max_requests", message);
}

/// What is not there where the kernel chooses the worker.
fn uncounted(found: &mut Found<'_>) {
    let app = found.app;
    let message =
        "in shared mode the kernel gives a connection to whichever worker is first; leave it out";
    found.say_if(Wrong(app.policy.is_some()), "policy", message);
    let message =
        "in shared mode nobody counts a program's requests; use max_lifetime or max_memory";
    found.say_if(Wrong(app.max_requests.is_some()), "max_requests", message);
}
