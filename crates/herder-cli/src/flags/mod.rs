//! That no verb and no option of the command is without a test of its effect: the description of the
//! arguments is walked, and each of them has to have an entry, with tests that are there.

mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::{Arg, Command, CommandFactory};

use crate::cli::Cli;
use table::{ALL, EFFECTS, SHOW};

/// A verb, and one of its options; no option = what the verb does by itself.
type Place = (String, String);

/// What there is in the description.
fn described() -> BTreeSet<Place> {
    let mut command = Cli::command();
    command.build();
    let mut found = BTreeSet::new();
    for verb in command.get_subcommands() {
        let name = verb.get_name();
        found.insert((name.to_owned(), String::new()));
        let options = verb.get_arguments().filter(|arg| !arg.is_positional());
        for option in options.filter_map(called) {
            found.insert((name.to_owned(), option));
        }
    }
    found.insert((String::new(), "--help".to_owned()));
    found.insert((String::new(), "--version".to_owned()));
    found
}

/// How an option is called.
fn called(arg: &Arg) -> Option<String> {
    let short = || arg.get_short().map(|letter| format!("-{letter}"));
    arg.get_long()
        .map(|name| format!("--{name}"))
        .or_else(short)
}

/// The verbs that an entry is about.
fn verbs(entry: &str, described: &BTreeSet<Place>) -> Vec<String> {
    let having = |option: &str| -> Vec<String> {
        let places = described.iter();
        let verbs = places.filter(|(verb, it)| it == option && !verb.is_empty());
        verbs.map(|(verb, _)| verb.clone()).collect()
    };
    match entry {
        ALL => having("--help"),
        SHOW => having("--silent"),
        verbs => verbs.split(' ').map(str::to_owned).collect(),
    }
}

/// The tests of the workspace, by the files that they stand in.
fn tests() -> BTreeMap<String, Vec<PathBuf>> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = Vec::new();
    for crates in ["crates", "e2e"] {
        sources(&workspace.join(crates), &mut files);
    }
    let mut tests: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a source can be read");
        for name in tests_in(&text) {
            tests.entry(name).or_default().push(file.clone());
        }
    }
    tests
}

/// The sources below a directory.
fn sources(directory: &Path, files: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(directory).expect("a directory of the workspace");
    for entry in entries.flatten() {
        let path = entry.path();
        let is_ours = !["node_modules", "target", "node"]
            .map(Into::into)
            .contains(&entry.file_name());
        if path.is_dir() && is_ours {
            sources(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
}

/// The names of the functions that have the attribute of a test.
fn tests_in(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if is_test && let Some((_, rest)) = line.split_once("fn ") {
            let name = rest.split('(').next().unwrap_or_default();
            names.push(name.to_owned());
            is_test = false;
        }
    }
    names
}

/// The entries, by what they are about. What has two is told.
fn entries(described: &BTreeSet<Place>) -> (BTreeMap<Place, &'static [&'static str]>, Vec<String>) {
    let mut found = BTreeMap::new();
    let mut wrong = Vec::new();
    for (whose, option, tests) in EFFECTS {
        for verb in verbs(whose, described) {
            let place = (verb, (*option).to_owned());
            if found.insert(place.clone(), *tests).is_some() {
                wrong.push(format!("{} {} has two entries", place.0, place.1));
            }
        }
    }
    (found, wrong)
}

#[test]
fn every_verb_and_option_has_a_test_of_its_effect() {
    let described = described();
    let (entries, mut wrong) = entries(&described);
    for place in &described {
        if !entries.contains_key(place) {
            wrong.push(format!("{} {} has no entry", place.0, place.1));
        }
    }
    let tests = tests();
    for ((verb, option), named) in &entries {
        let name = format!("{verb} {option}");
        if !described.contains(&(verb.clone(), option.clone())) {
            wrong.push(format!("{name} is not there any more"));
        }
        let mut files = Vec::new();
        for test in *named {
            match tests.get(*test) {
                Some(places) => files.extend(places),
                None => wrong.push(format!("{name}: there is no test {test}")),
            }
        }
        let needle = if option.is_empty() { verb } else { option };
        let mentions = |file: &&&PathBuf| {
            std::fs::read_to_string(file).is_ok_and(|text| text.contains(needle.as_str()))
        };
        if !files.is_empty() && !files.iter().any(|file| mentions(&file)) {
            wrong.push(format!("{name}: none of {named:?} is where it is named"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn tests_are_told_from_other_functions() {
    let text = "fn one() {}\n#[test]\n#[ignore]\nfn two() {\nfn three() {}\n#[tokio::test]\nasync fn four() {";
    assert_eq!(tests_in(text), ["two", "four"]);
}

#[test]
fn a_description_is_walked_as_a_whole() {
    let described = described();
    let has = |verb: &str, option: &str| described.contains(&(verb.to_owned(), option.to_owned()));
    // One of each kind: flattened, hidden, an alias' own, with a short form alone in PM2.
    for (verb, option) in [
        ("start", "--surge"),
        ("start", "--no-daemon"),
        ("restart", "--log-type"),
        ("list", "--json"),
        ("man", ""),
        ("run", "--verdict-file"),
    ] {
        assert!(has(verb, option), "{verb} {option}");
    }
    let command = Cli::command();
    let verbs = command
        .get_subcommands()
        .filter(|it| it.get_name() != "help");
    // There are no verbs below verbs: they would have to be walked, too.
    assert!(
        verbs
            .into_iter()
            .all(|verb: &Command| !verb.has_subcommands())
    );
}
