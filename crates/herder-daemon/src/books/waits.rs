//! Who waits for whom.

use std::collections::{BTreeMap, BTreeSet};

use herder_api::Problem;
use herder_api::problem::ProblemKind;

use super::Books;
use super::entry::{Entry, Phase};
use super::word::{AppId, CourseId};

/// How those stand that an app depends on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Dependencies {
    /// They are ready.
    Ready,
    /// Not yet.
    Wait,
    /// This one does not run, and nobody starts it.
    Rests(AppId),
    /// There is none of that name.
    Missing(String),
}

impl Books {
    pub(super) fn dependencies(&self, id: AppId) -> Dependencies {
        let Some(entry) = self.entries.get(&id) else {
            return Dependencies::Ready;
        };
        let mut found = Dependencies::Ready;
        for name in &entry.definition.app.depends_on {
            let Some(other) = self.entries.values().find(|it| it.name() == name) else {
                return Dependencies::Missing(name.clone());
            };
            if other.is_ready() {
                continue;
            }
            // Whoever waits, and was not asked for by anybody, may wait for one that rests.
            let is_idle = match &other.task {
                None => other.phase == Phase::Rests,
                Some(task) => other.phase == Phase::Waits && task.courses.is_empty(),
            };
            if is_idle {
                return Dependencies::Rests(other.id);
            }
            found = Dependencies::Wait;
        }
        found
    }

    /// Whether somebody that depends on it has to stop first, for the same courses.
    pub(super) fn is_needed(&self, entry: &Entry, courses: &[CourseId]) -> bool {
        self.entries.values().any(|other| {
            let depends = other.definition.app.depends_on.iter();
            let mut together = other.task.iter().flat_map(|task| &task.courses);
            depends.into_iter().any(|name| name == entry.name())
                && other.is_leaving()
                && together.any(|course| courses.contains(course))
        })
    }
}

/// Whether each app can be started after those that it depends on: they are known, and there is no
/// circle. The apps are names and what each depends on.
///
/// # Errors
/// Names those who do not fit. `asked` are those to look at; the others are there to be depended on.
pub(crate) fn check(apps: &BTreeMap<String, Vec<String>>, asked: &[String]) -> Result<(), Problem> {
    for name in asked {
        let needed = apps.get(name).into_iter().flatten();
        for other in needed {
            if !apps.contains_key(other) {
                let text =
                    format!("{name} depends on {other}, which is neither in the list nor started");
                let hint = format!("start {other} too, or leave it out of depends_on");
                let problem = Problem::new(ProblemKind::Invalid, text).hint(hint);
                return Err(problem.place("depends_on"));
            }
        }
    }
    let mut known = BTreeSet::new();
    for name in asked {
        if let Some(circle) = circle_from(apps, name, &mut known) {
            let text = format!("these apps depend on each other in a circle: {circle}");
            let problem = Problem::new(ProblemKind::Invalid, text);
            return Err(problem.place("depends_on"));
        }
    }
    Ok(())
}

/// The first circle that is reached from `start`; `known`: from where there is none. Without recursion,
/// as the depth is the file's.
fn circle_from<'a>(
    apps: &'a BTreeMap<String, Vec<String>>,
    start: &'a str,
    known: &mut BTreeSet<&'a str>,
) -> Option<String> {
    let empty = Vec::new();
    let needed = |name: &str| apps.get(name).unwrap_or(&empty);
    let mut path = vec![(start, 0_usize)];
    let mut on_path = BTreeSet::from([start]);
    while let Some((name, place)) = path.last_mut() {
        let name: &'a str = name;
        let Some(next) = apps.get(name).and_then(|names| names.get(*place)) else {
            path.pop();
            on_path.remove(name);
            known.insert(name);
            continue;
        };
        *place += 1;
        if on_path.contains(next.as_str()) {
            let from = path.iter().position(|(it, _)| it == next).unwrap_or(0);
            let names = path[from..].iter().map(|(name, _)| *name);
            let names: Vec<&str> = names.chain([next.as_str()]).collect();
            return Some(names.join(" → "));
        }
        if !known.contains(next.as_str()) && !needed(next).is_empty() {
            on_path.insert(next);
            path.push((next, 0));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apps(text: &[(&str, &[&str])]) -> (BTreeMap<String, Vec<String>>, Vec<String>) {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let apps: BTreeMap<String, Vec<String>> = text
            .iter()
            .map(|(name, needs)| ((*name).to_owned(), owned(needs)))
            .collect();
        let asked = apps.keys().cloned().collect();
        (apps, asked)
    }

    #[test]
    fn circles_are_named() {
        let (apps, asked) = apps(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"]), ("d", &[])]);
        let problem = check(&apps, &asked).expect_err("a circle");
        assert_eq!(
            problem.message,
            "these apps depend on each other in a circle: b → c → b"
        );
        assert_eq!(problem.kind, ProblemKind::Invalid);
    }

    #[test]
    fn who_depends_on_itself_is_a_circle() {
        let (apps, asked) = apps(&[("a", &["a"])]);
        let problem = check(&apps, &asked).expect_err("a circle");
        assert!(problem.message.ends_with("a → a"), "{problem}");
    }

    #[test]
    fn the_unknown_is_named() {
        let (apps, asked) = apps(&[("web", &["db"])]);
        let problem = check(&apps, &asked).expect_err("unknown");
        assert!(
            problem.message.starts_with("web depends on db"),
            "{problem}"
        );
    }

    #[test]
    fn a_chain_of_ten_thousand_is_no_circle_and_no_deep_recursion() {
        let mut chain = BTreeMap::new();
        for number in 0..10_000 {
            chain.insert(format!("a{number}"), vec![format!("a{}", number + 1)]);
        }
        chain.insert("a10000".to_owned(), Vec::new());
        let asked: Vec<String> = chain.keys().cloned().collect();
        check(&chain, &asked).expect("no circle");
        chain.insert("a10000".to_owned(), vec!["a0".to_owned()]);
        check(&chain, &asked).expect_err("a circle");
    }
}
