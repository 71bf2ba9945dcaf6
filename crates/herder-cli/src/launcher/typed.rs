//! What was typed, cut into options of ours and the words of what is to run.

use std::path::PathBuf;

use clap::{Arg, Command};

/// `herder run OPTIONS WORDS OPTIONS -- WORDS`.
pub(super) struct Typed {
    /// Ours.
    pub(super) options: Vec<String>,
    /// What is to run, and what it is told.
    pub(super) words: Vec<String>,
    pub(super) place: Place,
    /// How many words that look like arguments stand beside a script, not behind the dashes.
    pub(super) beside: usize,
    /// Where it runs.
    pub(super) directory: PathBuf,
    /// An option is not ours: a slip of the pen, and what is behind it may be its value. clap knows more
    /// about it.
    has_unknown: bool,
}

/// Where what is to run stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// Behind `--`.
    Program,
    /// Before it.
    Script,
}

impl Typed {
    /// `None`: nothing is to run, or by another verb.
    pub(super) fn read(words: &[String], run: &Command) -> Option<Typed> {
        let [_, verb, rest @ ..] = words else {
            return None;
        };
        if verb != run.get_name() {
            return None;
        }
        let mut typed = Typed {
            options: Vec::new(),
            words: Vec::new(),
            place: Place::Script,
            beside: 0,
            directory: PathBuf::from("."),
            has_unknown: false,
        };
        let rest = typed.take_options(rest, run);
        match rest {
            [] => return None,
            [dashes, program @ ..] if dashes == "--" => {
                typed.place = Place::Program;
                typed.words = program.to_vec();
            }
            script => typed.take_words(script, run),
        }
        if typed.has_unknown {
            typed.beside = 0;
        }
        Some(typed)
    }

    /// Our options at the beginning. Returns what is behind them.
    fn take_options<'a>(&mut self, words: &'a [String], run: &Command) -> &'a [String] {
        let mut rest = words;
        while let [word, behind @ ..] = rest {
            if word == "--" || !word.starts_with('-') {
                return rest;
            }
            let value = behind.first().filter(|_| wants_next(word, run));
            self.has_unknown |= option(word, run).is_none();
            self.options.push(word.clone());
            self.options.extend(value.cloned());
            let directory = match word.split_once('=') {
                Some(("--cwd", directory)) => Some(directory),
                None if word == "--cwd" => value.map(String::as_str),
                Some(_) | None => None,
            };
            if let Some(directory) = directory {
                self.directory = directory.into();
            }
            rest = &behind[value.iter().len()..];
        }
        rest
    }

    /// What is to run, without the options among it that are ours.
    fn take_words(&mut self, words: &[String], run: &Command) {
        let ours = |word: &String| word == "--" || option(word, run).is_some();
        let end = words.iter().position(ours).unwrap_or(words.len());
        let (own, behind) = words.split_at(end);
        self.words.extend(own.iter().cloned());
        // An option there may be a slip of the pen, which clap knows more about.
        let has_option = self.words.iter().any(|word| word.starts_with('-'));
        self.beside = if has_option { 0 } else { self.words.len() - 1 };
        match self.take_options(behind, run) {
            [] => {}
            [dashes, arguments @ ..] if dashes == "--" => {
                if self.words.len() > 1 {
                    self.words.push(dashes.clone());
                }
                self.words.extend(arguments.iter().cloned());
            }
            more => self.take_words(more, run),
        }
    }
}

/// Whether the next word is the value of this one.
fn wants_next(word: &str, run: &Command) -> bool {
    let takes = option(word, run).is_some_and(|option| option.get_action().takes_values());
    let is_bare = if word.starts_with("--") {
        !word.contains('=')
    } else {
        word.chars().count() == 2
    };
    takes && is_bare
}

/// Our option of that name.
fn option<'a>(word: &str, run: &'a Command) -> Option<&'a Arg> {
    let mut options = run.get_arguments();
    match word.strip_prefix("--") {
        Some(long) => {
            let name = long.split('=').next();
            options.find(|option| option.get_long().is_some() && option.get_long() == name)
        }
        None => {
            let name = word.strip_prefix('-')?.chars().next()?;
            options.find(|option| option.get_short() == Some(name))
        }
    }
}
