//! Finds what `herder startup` wrote.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::facts::Service;
use crate::startup::MARK;

/// Where services are.
fn directories() -> Vec<PathBuf> {
    let mut found = vec![
        PathBuf::from("/etc/systemd/system"),
        PathBuf::from("/etc/init.d"),
    ];
    let set = |name| std::env::var_os(name).map(PathBuf::from);
    let configuration = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")));
    found.extend(configuration.map(|path| path.join("systemd/user")));
    found
}

/// Looks.
pub(super) fn look() -> Vec<Service> {
    let files = directories()
        .into_iter()
        .flat_map(|directory| fs::read_dir(directory).ok());
    let files = files.flatten().flatten().map(|entry| entry.path());
    files.filter_map(|file| read(&file)).collect()
}

fn read(file: &Path) -> Option<Service> {
    let text = fs::read_to_string(file).ok()?;
    if !text.lines().take(2).any(|line| line.starts_with(MARK)) {
        return None;
    }
    let (program, home) = parse(&text);
    Some(Service {
        file: file.to_owned(),
        program: program.map(|program| {
            let found = fs::metadata(&program).ok();
            (program, found.map(|found| (found.dev(), found.ino())))
        }),
        home,
    })
}

/// What a unit or script of ours runs, and in which home.
fn parse(text: &str) -> (Option<PathBuf>, Option<PathBuf>) {
    let (mut program, mut home) = (None, None);
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("ExecStart=") {
            program = word(rest).map(|word| word.replace("$$", "$").replace("%%", "%"));
        } else if let Some(rest) = line.strip_prefix("command=") {
            program = word(rest);
        } else if let Some(rest) = line.strip_prefix("Environment=") {
            let found = word(rest).map(|word| word.replace("%%", "%"));
            let found = found.and_then(|word| word.strip_prefix("HERDER_HOME=").map(str::to_owned));
            home = home.or(found);
        } else if let Some(rest) = line.strip_prefix("export ") {
            home = word(rest).and_then(|word| word.strip_prefix("HERDER_HOME=").map(str::to_owned));
        }
    }
    (program.map(PathBuf::from), home.map(PathBuf::from))
}

/// The first word of a line, as it is written into units and scripts.
fn word(line: &str) -> Option<String> {
    let mut found = String::new();
    let mut quote = None;
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match (quote, c) {
            (None, ' ') => break,
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            // In single quotes of a shell it is itself; outside and in a unit it hides what follows.
            (None | Some('"'), '\\') => found.extend(rest.next()),
            (_, c) => found.push(c),
        }
    }
    (!found.is_empty() && quote.is_none()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::startup::{self, Init, Place};

    #[test]
    fn what_is_written_is_understood() {
        let service = startup::Service {
            name: "herder-me".to_owned(),
            user: Some("me".to_owned()),
            is_root: false,
            program: PathBuf::from("/opt/it's 100% $mine/\"herder\""),
            home: PathBuf::from("/home/me/my %home"),
            path: "/usr/bin".to_owned(),
        };
        for init in [Init::Systemd, Init::Openrc] {
            let place = Place {
                init,
                is_of_machine: true,
                user: "me".to_owned(),
                name: "herder-me".to_owned(),
                directory: PathBuf::from("/etc/init.d"),
            };
            let recipe = startup::recipe(&service, &place, None);
            let expected = (Some(service.program.clone()), Some(service.home.clone()));
            assert_eq!(parse(&recipe.text), expected, "{}", recipe.text);
        }
    }
}
