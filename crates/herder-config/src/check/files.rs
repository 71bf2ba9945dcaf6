//! What has to be there: files, directories, users.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use herder_api::App;

use super::Found;

pub(super) fn check(found: &mut Found<'_>) {
    let app = found.app;
    if let Some(cwd) = &app.cwd {
        match std::fs::metadata(cwd) {
            Ok(there) if there.is_dir() => {}
            Ok(_) => found.say("cwd", format!("{} is not a directory", cwd.display())),
            Err(error) => found.say("cwd", missing(cwd, &error)),
        }
    }
    if let Some(script) = &app.script
        && let Err(error) = std::fs::metadata(within(found, script))
    {
        let why = missing(&within(found, script), &error);
        found.say("script", why);
    }
    if let Some(interpreter) = app.interpreter.as_deref().filter(|name| name.contains('/')) {
        executable(found, "interpreter", interpreter);
    }
    if let Some(program) = app.command.first().filter(|name| name.contains('/')) {
        let is_shell = app.command.len() == 1 && program.contains(char::is_whitespace);
        if !is_shell || within(found, Path::new(program)).exists() {
            executable(found, "command", program);
        }
    }
    for (setting, path) in certificates(app) {
        match std::fs::metadata(&path) {
            Ok(there) if there.is_dir() => {
                found.say(&setting, format!("{} is a directory", path.display()));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                found.say(&setting, missing(&path, &error));
            }
            // Whether it can be read is the master's to see.
            Ok(_) | Err(_) => {}
        }
    }
    for (name, path) in &app.libraries {
        if let Err(error) = std::fs::metadata(within(found, path)) {
            let why = missing(path, &error);
            found.say(&format!("libraries.{name}"), why);
        }
    }
    if let Some(directory) = app.jobs_file.as_deref().and_then(Path::parent)
        && let Err(error) = std::fs::metadata(within(found, directory))
    {
        let why = missing(directory, &error);
        found.say(
            "jobs_file",
            format!("{why}; the file is made, but its directory has to be there"),
        );
    }
    identity(found);
}

/// The files of certificates, each with the setting that names it.
fn certificates(app: &App) -> Vec<(String, PathBuf)> {
    let Some(proxy) = &app.proxy else {
        return Vec::new();
    };
    let simple = [("certificate", &proxy.certificate), ("key", &proxy.key)];
    let simple = simple
        .into_iter()
        .filter_map(|(name, path)| Some((format!("proxy.{name}"), path.clone()?)));
    let more = proxy.certificates.iter().enumerate().flat_map(|(at, it)| {
        [("certificate", &it.certificate), ("key", &it.key)]
            .map(|(name, path)| (format!("proxy.certificates.{at}.{name}"), path.clone()))
    });
    simple.chain(more).collect()
}

fn within(found: &Found<'_>, path: &Path) -> std::path::PathBuf {
    match &found.app.cwd {
        Some(cwd) => cwd.join(path),
        None => path.to_owned(),
    }
}

fn executable(found: &mut Found<'_>, setting: &str, program: &str) {
    let path = within(found, Path::new(program));
    let can_run = |there: &Metadata| there.permissions().mode() & 0o111 != 0;
    match std::fs::metadata(&path) {
        Ok(there) if there.is_dir() => {
            found.say(setting, format!("{} is a directory", path.display()));
        }
        Ok(there) if !can_run(&there) => {
            let path = path.display();
            found.say(
                setting,
                format!("{path} cannot be executed; try: chmod +x {path}"),
            );
        }
        Ok(_) => {}
        Err(error) => found.say(setting, missing(&path, &error)),
    }
}

fn missing(path: &Path, error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotFound {
        format!("there is no {}", path.display())
    } else {
        format!("{}: {error}", path.display())
    }
}

fn identity(found: &mut Found<'_>) {
    let app = found.app;
    let named = [("user", &app.user), ("group", &app.group)];
    let Some((setting, _)) = named.into_iter().find(|(_, name)| name.is_some()) else {
        return;
    };
    if !herder_sys::user::is_root() {
        let own = rustix::process::getuid().as_raw().to_string();
        // To run as who one is already takes nothing.
        if app.group.is_none() && app.user.as_deref() == Some(&own) {
            return;
        }
        found.say(setting, "only root can start workers as another user");
        return;
    }
    if let Some(name) = &app.user {
        match herder_sys::user::lookup(name) {
            Ok(Some(_)) => {}
            Ok(None) => found.say("user", format!("there is no user {name:?}")),
            Err(error) => found.say("user", error.to_string()),
        }
    }
    if let Some(name) = &app.group {
        match herder_sys::user::lookup_group(name) {
            Ok(Some(_)) => {}
            Ok(None) => found.say("group", format!("there is no group {name:?}")),
            Err(error) => found.say("group", error.to_string()),
        }
    }
}
