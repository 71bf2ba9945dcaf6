//! What workers share: libraries, state, jobs.

use herder_core::schedule::JobName;
use herder_core::spec::LibraryName;
use herder_services::jobs::Timing;
use herder_services::library::{Backend, NAME, NamespaceSettings};

use super::{Found, Wrong};

pub(super) fn check(found: &mut Found<'_>) {
    libraries(found);
    state(found);
    store(found);
    jobs(found);
}

fn libraries(found: &mut Found<'_>) {
    for (name, path) in &found.app.libraries {
        let setting = format!("libraries.{name}");
        if let Err(error) = name.parse::<LibraryName>() {
            found.say(&setting, error.to_string());
        }
        let wrong = Wrong(name == NAME);
        found.say_if(
            wrong,
            &setting,
            "so the library of state, jobs and bus is called; choose another name",
        );
        found.say_if(
            Wrong(path.as_os_str().is_empty()),
            &setting,
            "it names no file",
        );
    }
}

fn state(found: &mut Found<'_>) {
    let app = found.app;
    for (name, place) in &app.state {
        let setting = format!("state.{name}");
        match place.parse::<Backend>() {
            Err(error) => found.say(&setting, error),
            Ok(Backend::Store) if app.store.is_none() => {
                found.say(
                    &setting,
                    "say where the store is: store = \"redis://127.0.0.1:6379\"",
                );
            }
            Ok(backend) => {
                if let Err(error) = NamespaceSettings::new(name, backend).check() {
                    found.say(&setting, error.to_string());
                }
            }
        }
    }
}

/// What the address of a store begins with.
const SCHEMES: [&str; 7] = [
    "redis://",
    "rediss://",
    "redis+unix://",
    "unix://",
    "valkey://",
    "valkeys://",
    "valkey+unix://",
];

fn store(found: &mut Found<'_>) {
    if let Some(store) = &found.app.store {
        let wrong = Wrong(!SCHEMES.iter().any(|scheme| store.starts_with(scheme)));
        // What stands there may hold a password: it is not repeated.
        found.say_if(
            wrong,
            "store",
            "this is no address of a Redis or Valkey such as redis://127.0.0.1:6379",
        );
    }
}

fn jobs(found: &mut Found<'_>) {
    for (name, timing) in &found.app.jobs {
        let setting = format!("jobs.{name}");
        if let Err(error) = JobName::new(name) {
            found.say(&setting, error.to_string());
        }
        if let Err(error) = timing.parse::<Timing>() {
            found.say(&setting, error.to_string());
        }
    }
}
