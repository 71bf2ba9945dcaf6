//! The lists of apps in files: what was, and what was saved.

use std::io;
use std::os::fd::BorrowedFd;

use herder_api::Problem;
use herder_api::herd::HerdOrder;
use herder_api::problem::ProblemKind;

use super::Shell;
use crate::books::{Books, Definition, List, Places, Rest, VERSION};
use crate::desk::Until;
use crate::home::{self, Durable, Home};

/// The list.
const APPS: &str = "apps.json";

/// What was saved of it.
const SAVED: &str = "saved.json";

/// Empty books for a home.
pub(super) fn books(home: &Home) -> Books {
    let places = Places {
        run: home.run_path(),
        logs: home.logs_path(),
    };
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let cpus = u16::try_from(cpus.min(256)).unwrap_or(256);
    Books::new(places, cpus, boot_id())
}

/// Which start of the machine this is.
fn boot_id() -> String {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    text.map(|text| text.trim().to_owned()).unwrap_or_default()
}

/// Writes the list.
pub(super) fn write_list(home: &Home, list: &List) -> io::Result<()> {
    home::replace(home.state(), APPS, &serde_json::to_vec_pretty(list)?)
}

/// Apps that ended with the daemon before start with this one, unless they do not want to.
fn reawaken(list: &mut List) {
    for listed in &mut list.apps {
        if listed.rest == Rest::Ended {
            listed.rest = listed.rest.after_boot(listed.definition.app.autostart);
        }
    }
}

/// What a file says, or the one before it, and what is wrong with those that could not be read.
struct Read {
    list: Option<List>,
    complaints: Vec<String>,
}

fn read_list(directory: BorrowedFd<'_>, name: &str) -> Read {
    let mut complaints = Vec::new();
    for name in [name.to_owned(), format!("{name}.bak")] {
        match parse(directory, &name) {
            Ok(None) => {}
            Ok(list) => return Read { list, complaints },
            Err(why) => complaints.push(format!("state/{name}: {why}")),
        }
    }
    Read {
        list: None,
        complaints,
    }
}

fn parse(directory: BorrowedFd<'_>, name: &str) -> Result<Option<List>, String> {
    let bytes = home::read(directory, name).map_err(|error| error.to_string())?;
    let Some(bytes) = bytes else {
        return Ok(None);
    };
    let list: List = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
    if list.version != VERSION {
        return Err(format!(
            "it has the version {}, and this herder writes version {VERSION}",
            list.version
        ));
    }
    Ok(Some(list))
}

impl Shell {
    /// Takes over what was, and looks for herds that run.
    pub(super) fn restore(&mut self, resurrects: bool) -> Result<(), Problem> {
        let now = self.now();
        let read = read_list(self.home.state(), APPS);
        let was_there = read.list.is_some();
        for complaint in &read.complaints {
            self.journal
                .note("", "warning", "warning", complaint.clone());
        }
        if !read.complaints.is_empty() {
            let broken = self.keep_broken();
            self.warn_of_list(&read, broken.as_deref());
        }
        if let Some(mut list) = read.list {
            if resurrects {
                reawaken(&mut list);
            }
            self.books.restore(list, now);
        }
        self.find_strangers();
        if resurrects && !was_there {
            let saved = read_list(self.home.state(), SAVED);
            if let Some(list) = saved.list {
                self.books.resurrect(list, now);
            }
        }
        Ok(())
    }

    /// A file that could not be read may still tell somebody something. Returns its new name.
    fn keep_broken(&self) -> Option<String> {
        let state = self.home.state();
        let bytes = home::read(state, APPS).ok().flatten()?;
        let broken = format!("{APPS}.broken");
        let kept = home::write(state, &broken, &bytes, Durable::Later);
        kept.ok().map(|()| broken)
    }

    /// Who changes or reads a list that is not what it was has to know it.
    fn warn_of_list(&self, read: &Read, broken: Option<&str>) {
        let why = read.complaints.join("; ");
        let instead = match read.list {
            Some(_) => format!(
                "state/{APPS}.bak was used instead: it is the list as it was before its last change"
            ),
            None => {
                "only the apps that run are known; herder resurrect starts those that were saved"
                    .to_owned()
            }
        };
        let kept = broken.map_or_else(String::new, |name| {
            format!(". What could not be read is in state/{name}: remove that, and this is not said again")
        });
        let text = format!("the list of apps could not be read ({why}), and {instead}{kept}");
        let until = broken.map(|name| self.home.path().join("state").join(name));
        self.warnings
            .add(text, until.map_or(Until::End, Until::Gone));
    }

    /// Herds that run, and that the list does not know: it was lost.
    fn find_strangers(&mut self) {
        let names = home::names(self.home.herds()).unwrap_or_default();
        for file in names {
            let Some(name) = file.strip_suffix(".json") else {
                continue;
            };
            if name.starts_with('.') || self.books.by_name(name).is_some() {
                continue;
            }
            let bytes = home::read(self.home.herds(), &file).ok().flatten();
            let order = bytes.and_then(|it| serde_json::from_slice::<HerdOrder>(&it).ok());
            let Some(order) = order.filter(|order| order.app.name == name) else {
                continue;
            };
            if super::keeper::lives(&self.home, name) {
                let now = self.now();
                let definition = Definition {
                    app: order.app,
                    inherited: order.inherited,
                    profile: order.profile,
                    source: None,
                };
                self.books.find(definition, now);
            }
        }
    }

    /// Saves the list; says how many apps it has.
    pub(super) fn save(&self) -> Result<usize, Problem> {
        let list = self.books.list();
        if list.apps.is_empty() {
            let text = "the list is empty, so nothing was saved";
            let hint = "herder delete all, and then herder save, would lose what was saved before";
            return Err(Problem::new(ProblemKind::Conflict, text).hint(hint));
        }
        let written = serde_json::to_vec_pretty(&list)
            .map_err(io::Error::from)
            .and_then(|bytes| home::replace(self.home.state(), SAVED, &bytes));
        let count = list.apps.len();
        match written {
            Ok(()) => Ok(count),
            Err(error) => {
                let path = self.home.path().join("state").join(SAVED);
                Err(home::unusable(&path, &error))
            }
        }
    }

    /// What was saved.
    pub(super) fn saved(&self) -> Result<Option<List>, Problem> {
        let read = read_list(self.home.state(), SAVED);
        match (read.list, read.complaints.is_empty()) {
            (Some(list), _) => Ok(Some(list)),
            (None, true) => Ok(None),
            (None, false) => {
                let text = format!(
                    "what was saved cannot be read: {}",
                    read.complaints.join("; ")
                );
                Err(Problem::new(ProblemKind::Invalid, text))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::books::Listed;

    fn listed(name: &str, rest: Rest, autostart: bool) -> Listed {
        let app = herder_api::App {
            name: name.to_owned(),
            autostart,
            ..herder_api::App::default()
        };
        Listed {
            id: 0,
            definition: Definition {
                app,
                inherited: std::collections::BTreeMap::new(),
                profile: None,
                source: None,
            },
            rest,
            proven: true,
            since: None,
            note: None,
            trial: None,
        }
    }

    #[test]
    fn a_service_that_is_started_starts_what_ended_with_it_and_nothing_else() {
        let mut list = List {
            version: VERSION,
            boot: String::new(),
            next_id: 4,
            apps: vec![
                listed("ended", Rest::Ended, true),
                listed("shy", Rest::Ended, false),
                listed("stopped", Rest::Stopped, true),
                listed("done", Rest::Done, true),
            ],
        };
        reawaken(&mut list);
        let rests: Vec<Rest> = list.apps.iter().map(|it| it.rest).collect();
        let expected = [Rest::None, Rest::Stopped, Rest::Stopped, Rest::Done];
        assert_eq!(rests, expected);
    }
}
