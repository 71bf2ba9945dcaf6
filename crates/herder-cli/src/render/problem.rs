//! What went wrong.

use herder_api::Problem;

use super::text::{Sgr, escape, escape_line};
use super::{Paint, Style};

/// A problem with everything that is known of it, each line ended. `about` is the app, if it is one's.
pub(crate) fn problem(problem: &Problem, about: Option<&str>, style: Style) -> String {
    let mut head = Vec::new();
    head.extend(about.map(escape));
    head.extend(problem.place.as_deref().map(escape));
    // A message of several lines is several lines, each harmless.
    let message: Vec<String> = problem.message.lines().map(escape).collect();
    head.push(message.join("\n  "));
    let mut text = format!(
        "{} {}\n",
        style.paint(Paint::Red, "herder:"),
        head.join(": ")
    );
    for line in &problem.last_lines {
        let sgr = if style.colour {
            Sgr::Kept
        } else {
            Sgr::Escaped
        };
        text += &format!(
            "  {} {}\n",
            style.paint(Paint::Dim, "|"),
            escape_line(line, sgr)
        );
    }
    for hint in problem.hint.iter().flat_map(|hint| hint.lines()) {
        text += &format!("  {} {}\n", style.paint(Paint::Cyan, "hint:"), escape(hint));
    }
    text
}

#[cfg(test)]
mod tests {
    use herder_api::problem::ProblemKind;

    use super::*;
    use crate::render::snapshot;

    #[test]
    fn problems_are_as_recorded() {
        let plain = Problem::new(ProblemKind::NotFound, "there is no app `wob`")
            .hint("did you mean `web`?");
        let mut full = Problem::new(
            ProblemKind::BootFailed,
            "no worker became ready: it ended with 1",
        )
        .place("herder.toml:4")
        .hint("run it by hand: node server.js\nor look at herder logs web");
        full.last_lines = vec![
            "Error: Cannot find module '\x1b[2Jevil'".to_owned(),
            "\x1b[31m    at Module._load\x1b[0m".to_owned(),
        ];
        let colour = Style {
            colour: true,
            width: Some(80),
        };
        let mut text = String::new();
        for style in [Style::PLAIN, colour] {
            text += &problem(&plain, None, style);
            text += &problem(&full, Some("web"), style);
        }
        snapshot::check("problem", &text);
    }
}
