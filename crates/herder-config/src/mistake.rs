//! What is wrong at a place of a text.

use herder_api::problem::{Problem, ProblemKind};

use crate::node::At;

/// What is wrong at a place of a text, or what is only to be known of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Mistake {
    pub(crate) at: At,
    /// A whole sentence, or a part that becomes one with a full stop.
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Mistake {
    pub(crate) fn new(at: At, message: impl Into<String>) -> Mistake {
        Mistake {
            at,
            message: message.into(),
            hint: None,
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Mistake {
        self.hint = Some(hint.into());
        self
    }

    /// About a setting that stands in no file: the place is its name.
    pub(crate) fn told_of_setting(self) -> Problem {
        let name = self.message.split(':').next().unwrap_or_default();
        let name = name
            .rsplit(' ')
            .next()
            .unwrap_or_default()
            .trim_matches('"')
            .to_owned();
        self.told(&name)
    }

    /// For people, who are told the name of the file.
    pub(crate) fn told(self, file: &str) -> Problem {
        let place = match self.at.line {
            0 => file.to_owned(),
            _ => format!("{file}:{}", self.at),
        };
        let mut problem = Problem::new(ProblemKind::Invalid, sentence(&self.message)).place(place);
        problem.hint = self.hint;
        problem
    }
}

/// With a capital letter and a full stop, and no control characters but blanks.
pub(crate) fn sentence(text: &str) -> String {
    let text = text.trim().replace(char::is_control, " ");
    let end = match text.ends_with(['.', '!', '?']) {
        true => "",
        false => ".",
    };
    // Names of settings keep their letters.
    let first_word = text.split_whitespace().next().unwrap_or_default();
    let is_word = first_word.chars().all(|c| c.is_ascii_lowercase());
    let mut chars = text.chars();
    match chars.next() {
        Some(first) if is_word => format!("{}{}{end}", first.to_ascii_uppercase(), chars.as_str()),
        _ => format!("{text}{end}"),
    }
}
