//! Which apps are meant.

use std::collections::BTreeSet;

use herder_api::Problem;
use herder_api::problem::ProblemKind;
use regex_lite::RegexBuilder;

use super::Books;
use super::word::AppId;

/// How large a pattern may become, in bytes.
const PATTERN: usize = 1 << 16;

/// What to say when nobody is named.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Choice {
    /// All are meant.
    AllByDefault,
    /// Somebody must be named.
    Explicit,
}

impl Books {
    /// The apps that targets name, by number: names, numbers, namespaces, `all`, `/regex/`. A name is
    /// looked for first.
    ///
    /// # Errors
    /// `NotFound` for a target that names nobody, with close matches; `Invalid` for a bad pattern.
    pub(crate) fn choose(&self, targets: &[String], choice: Choice) -> Result<Vec<AppId>, Problem> {
        if targets.is_empty() {
            return match choice {
                Choice::AllByDefault => Ok(self.entries.keys().copied().collect()),
                Choice::Explicit => Err(Problem::new(ProblemKind::Invalid, "no app is named")
                    .hint("name apps, numbers or namespaces, or say all")),
            };
        }
        let mut chosen = BTreeSet::new();
        for target in targets {
            let found = self.find_target(target)?;
            if found.is_empty() {
                return Err(self.unknown(target));
            }
            chosen.extend(found);
        }
        Ok(chosen.into_iter().collect())
    }

    /// The one app of that name or number.
    ///
    /// # Errors
    /// `NotFound`, with close matches.
    pub(crate) fn choose_one(&self, name: &str) -> Result<AppId, Problem> {
        let by_number = || name.parse().ok().filter(|id| self.entries.contains_key(id));
        let found = self.by_name(name).or_else(by_number);
        found.ok_or_else(|| self.unknown(name))
    }

    fn find_target(&self, target: &str) -> Result<Vec<AppId>, Problem> {
        if let Ok(one) = self.choose_one(target) {
            return Ok(vec![one]);
        }
        let entries = self.entries.values();
        if target == "all" {
            return Ok(entries.map(|entry| entry.id).collect());
        }
        let inner = target.strip_prefix('/').and_then(|it| it.strip_suffix('/'));
        if let Some(pattern) = inner.filter(|pattern| !pattern.is_empty()) {
            let built = RegexBuilder::new(pattern).size_limit(PATTERN).build();
            let pattern = built.map_err(|error| {
                let text = format!("{target} is no pattern: {error}");
                Problem::new(ProblemKind::Invalid, text)
            })?;
            let matching = entries.filter(|entry| pattern.is_match(entry.name()));
            return Ok(matching.map(|entry| entry.id).collect());
        }
        let inside = entries.filter(|entry| entry.definition.app.namespace == target);
        Ok(inside.map(|entry| entry.id).collect())
    }

    fn unknown(&self, target: &str) -> Problem {
        let text = match target {
            "all" => "the list is empty".to_owned(),
            _ => format!("no app or namespace is called {target:?}"),
        };
        let problem = Problem::new(ProblemKind::NotFound, text);
        let names = self.entries.values().flat_map(|entry| {
            let namespace = entry.definition.app.namespace.as_str();
            [entry.name(), namespace]
        });
        let mut close: Vec<(usize, &str)> = names
            .map(|name| (distance(target, name), name))
            .filter(|(distance, name)| *distance <= 1 + name.len().min(target.len()) / 4)
            .collect();
        close.sort_unstable();
        close.dedup();
        let close: Vec<&str> = close.into_iter().map(|(_, name)| name).take(3).collect();
        match (close.is_empty(), self.entries.is_empty()) {
            (false, _) => problem.hint(format!("did you mean {}?", close.join(" or "))),
            (true, false) => problem.hint("herder list shows what there is"),
            (true, true) => problem.hint("herder start puts apps into it"),
        }
    }
}

/// How many letters have to change, or to change places with the next; at most 64 are looked at.
fn distance(one: &str, other: &str) -> usize {
    let one: Vec<char> = one.to_lowercase().chars().take(64).collect();
    let other: Vec<char> = other.to_lowercase().chars().take(64).collect();
    let mut rows = vec![(0..=other.len()).collect::<Vec<usize>>()];
    for (line, letter) in one.iter().enumerate() {
        let mut row = vec![line + 1];
        for (column, against) in other.iter().enumerate() {
            let replaced = rows[line][column] + usize::from(letter != against);
            let mut least = replaced
                .min(row[column] + 1)
                .min(rows[line][column + 1] + 1);
            let is_swapped =
                line > 0 && column > 0 && *letter == other[column - 1] && one[line - 1] == *against;
            if is_swapped {
                least = least.min(rows[line - 1][column - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn letters_that_change_places_are_one_mistake() {
        for (one, other, expected) in [
            ("", "", 0),
            ("web", "web", 0),
            ("wbe", "web", 1),
            ("we", "web", 1),
            ("WEB", "web", 0),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(one, other), expected, "{one} {other}");
            assert_eq!(distance(other, one), expected, "{other} {one}");
        }
    }
}
