//! Numbers, durations and sizes.

use herder_api::app::{Delay, Workers};
use herder_api::units::Period;

use super::{Found, Wrong};

/// The most workers that an app can have.
const MAX_WORKERS: u16 = herder_core::spec::WorkerCount::MAX;

pub(super) fn check(found: &mut Found<'_>) {
    let app = found.app;
    if let Workers::Count(count) = app.workers {
        let wrong = Wrong(count == 0 || count > MAX_WORKERS);
        found.say_if(
            wrong,
            "workers",
            "use a number from 1 to 256, or \"max\" for one per CPU",
        );
    }
    let zeros = [
        ("backlog", app.backlog == Some(0)),
        ("surge", app.surge == Some(0)),
        ("max_generations", app.max_generations == Some(0)),
        ("max_requests", app.max_requests == Some(0)),
        ("max_memory", app.max_memory.is_some_and(|size| size.0 == 0)),
    ];
    for (setting, is_zero) in zeros {
        found.say_if(Wrong(is_zero), setting, "it has to be more than 0");
    }
    times(found);
    for code in &app.stop_exit_codes {
        let wrong = Wrong(!(0..=255).contains(code));
        found.say_if(
            wrong,
            "stop_exit_codes",
            format!("{code} is no exit code: use 0 to 255"),
        );
    }
    if let Some(mode) = &app.unix_mode {
        let bits = u32::from_str_radix(mode, 8)
            .ok()
            .filter(|bits| *bits <= 0o777);
        let wrong = Wrong(bits.is_none() || !mode.bytes().all(|byte| byte.is_ascii_digit()));
        found.say_if(
            wrong,
            "unix_mode",
            "use permission bits in octal, from \"000\" to \"777\"",
        );
    }
    if let Some(Delay::Growing { first, max }) = app.restart_delay {
        found.say_if(
            Wrong(first.0.is_zero()),
            "restart_delay",
            "what grows has to begin with more than 0",
        );
        found.say_if(
            Wrong(first > max),
            "restart_delay",
            format!("first ({first}) is longer than max ({max})"),
        );
    }
    let logs = &app.logs;
    let room = logs.total_size.0;
    let wrong = Wrong(room > 0 && logs.rotate_size.0 > room);
    found.say_if(
        wrong,
        "logs.rotate_size",
        "one file is larger than logs.total_size allows for all",
    );
}

fn times(found: &mut Found<'_>) {
    let app = found.app;
    let mut times = vec![
        ("ready_after", app.ready_after),
        ("listen_timeout", app.listen_timeout),
        ("boot_timeout", app.boot_timeout),
        ("restart_window", app.restart_window),
        ("max_lifetime", app.max_lifetime),
        ("watchdog", app.watchdog),
        ("max_silence", app.max_silence),
    ];
    if let Some(health) = &app.health {
        times.push(("health.interval", Some(health.interval)));
        times.push(("health.timeout", Some(health.timeout)));
        found.say_if(
            Wrong(health.failures == 0),
            "health.failures",
            "it has to be more than 0",
        );
    }
    for (setting, time) in times {
        let wrong = Wrong(time.is_some_and(|time| time.0.is_zero()));
        found.say_if(wrong, setting, "it has to be more than 0");
    }
    ready_in_time(found);
}

/// A guess that comes too late is none.
fn ready_in_time(found: &mut Found<'_>) {
    let app = found.app;
    let limit = app.boot_timeout.unwrap_or(Period::secs(60));
    let (setting, after, usual) = match app.script {
        Some(_) => ("listen_timeout", app.listen_timeout, Period::secs(3)),
        None => ("ready_after", app.ready_after, Period::secs(1)),
    };
    let after = after.unwrap_or(usual);
    let guesses = app.ready == herder_api::app::Ready::Alive;
    if guesses && after >= limit && !limit.0.is_zero() {
        let message = format!(
            "a worker that is not ready within boot_timeout ({limit}) is killed, and this is {after}: make it shorter, or \
             boot_timeout longer"
        );
        found.say(setting, message);
    }
}
