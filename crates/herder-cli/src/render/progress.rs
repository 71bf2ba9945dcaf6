//! How far something has come: what is said once and stays, and what is drawn anew as it changes.

use std::collections::BTreeMap;

use herder_api::control::Progress;

use super::problem::problem;
use super::text::{count, escape};
use super::{Paint, Style};

/// How many apps are drawn at a time.
const DRAWN: usize = 12;

/// How many slots of an app are drawn one by one.
const SLOTS: usize = 32;

/// What is under way.
#[derive(Debug, Default)]
pub(crate) struct Board {
    running: BTreeMap<String, Running>,
    first_failure: Option<u8>,
    ended: bool,
}

#[derive(Debug)]
struct Running {
    verb: String,
    slots: BTreeMap<u16, String>,
}

/// What is said once and stays, each line ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Said {
    /// Nothing.
    Nothing,
    /// To those who asked.
    Good(String),
    /// It is an error.
    Bad(String),
}

impl Board {
    /// Takes news, and says what there is to say.
    pub(crate) fn take(&mut self, news: &Progress, out: Style, err: Style) -> Said {
        match news {
            Progress::Begun { app, verb } => {
                let running = Running {
                    verb: verb.clone(),
                    slots: BTreeMap::new(),
                };
                self.running.insert(app.clone(), running);
                Said::Nothing
            }
            Progress::Slot {
                app, slot, phase, ..
            } => {
                if let Some(running) = self.running.get_mut(app) {
                    running.slots.insert(*slot, phase.clone());
                }
                Said::Nothing
            }
            Progress::Note { app, text } => Said::Good(said(app, "", text, out)),
            Progress::Done { app, text } => {
                self.running.remove(app);
                let mark = out.paint(Paint::Green, "✓ ");
                let mark = if out.is_terminal() {
                    mark
                } else {
                    String::new()
                };
                Said::Good(said(app, &mark, text, out))
            }
            Progress::Failed { app, problem: why } => {
                self.running.remove(app);
                self.first_failure.get_or_insert(why.kind.exit_status());
                let about = Some(app.as_str()).filter(|app| !names(&why.message, app));
                Said::Bad(problem(why, about, err))
            }
            Progress::End { done, failed } => self.end(*done, *failed, err),
        }
    }

    fn end(&mut self, done: u32, failed: u32, err: Style) -> Said {
        self.running.clear();
        self.ended = true;
        if failed > 0 && self.first_failure.is_none() {
            self.first_failure = Some(1);
        }
        if failed == 0 || done + failed < 2 {
            return Said::Nothing;
        }
        let head = err.paint(Paint::Red, "herder:");
        let failed = count(u64::from(failed), "app");
        Said::Bad(format!("{head} {failed} failed, {done} did not\n"))
    }

    /// Whether the end has been told.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// The status to end with, if something failed.
    pub(crate) fn failure(&self) -> Option<u8> {
        self.first_failure
    }

    /// What is under way now, a line for each app.
    pub(crate) fn lines(&self, style: Style) -> Vec<String> {
        let names = self.running.keys().take(DRAWN);
        let widest = names.map(|name| escape(name).chars().count()).max();
        let mut lines: Vec<String> = self
            .running
            .iter()
            .take(DRAWN)
            .map(|(name, running)| running.line(name, widest.unwrap_or(0), style))
            .collect();
        if self.running.len() > DRAWN {
            lines.push(format!("… and {} more", self.running.len() - DRAWN));
        }
        lines
    }
}

/// Whether a message begins with the app's own name: it is not needed twice.
fn names(message: &str, app: &str) -> bool {
    let rest = message.strip_prefix(app);
    app.is_empty() || rest.is_some_and(|rest| rest.starts_with([' ', ':', ',']))
}

fn said(app: &str, mark: &str, text: &str, style: Style) -> String {
    if app.is_empty() {
        return format!("{mark}{}\n", escape(text));
    }
    let name = style.paint(Paint::Bold, &escape(app));
    format!("{mark}{name}: {}\n", escape(text))
}

impl Running {
    fn line(&self, name: &str, widest: usize, style: Style) -> String {
        let shown = escape(name);
        let padding = " ".repeat(widest.saturating_sub(shown.chars().count()));
        let mut line = format!(
            "  {}{padding}  {}",
            style.paint(Paint::Bold, &shown),
            under_way(&self.verb)
        );
        if self.slots.is_empty() {
            return line;
        }
        line += "  ";
        for phase in self.slots.values().take(SLOTS) {
            let (paint, mark) = match phase.as_str() {
                "ready" => (Paint::Green, "●"),
                "starting" => (Paint::Cyan, "◐"),
                "leaving" => (Paint::Yellow, "◌"),
                "failed" => (Paint::Red, "✗"),
                _ => (Paint::Dim, "○"),
            };
            line += &style.paint(paint, mark);
        }
        let counts = self.counts();
        for (phase, number) in &counts {
            line += &format!("  {number} {}", escape(phase));
        }
        // Nothing is seen to happen for a while, and that is as it should be.
        if self.verb == "reload" && counts.keys().all(|phase| *phase == "ready") {
            line += ", to prove themselves";
        }
        line
    }

    /// How many slots are how far.
    fn counts(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for phase in self.slots.values() {
            *counts.entry(phase.as_str()).or_insert(0) += 1;
        }
        counts
    }
}

/// `start` → `starting`.
fn under_way(verb: &str) -> String {
    match verb {
        "start" | "restart" | "reload" | "flush" | "reset" | "signal" | "send" => {
            format!("{verb}ing")
        }
        "stop" => "stopping".to_owned(),
        "scale" | "upgrade" | "delete" | "save" | "update" => {
            format!("{}ing", &verb[..verb.len() - 1])
        }
        _ => escape(verb),
    }
}

#[cfg(test)]
mod tests {
    use herder_api::Problem;
    use herder_api::problem::ProblemKind;

    use super::*;
    use crate::render::snapshot;

    fn course() -> Vec<Progress> {
        let slot = |app: &str, slot, phase: &str| Progress::Slot {
            app: app.to_owned(),
            slot,
            phase: phase.to_owned(),
            pid: Some(1),
        };
        let mut why = Problem::new(ProblemKind::BootFailed, "api: no worker became ready")
            .hint("look at `herder logs api`");
        why.last_lines = vec!["boom".to_owned()];
        vec![
            Progress::Begun {
                app: "web".to_owned(),
                verb: "start".to_owned(),
            },
            Progress::Begun {
                app: "api".to_owned(),
                verb: "reload".to_owned(),
            },
            slot("web", 0, "starting"),
            slot("web", 1, "starting"),
            slot("api", 0, "starting"),
            slot("web", 0, "ready"),
            Progress::Note {
                app: "web".to_owned(),
                text: "port 80 is open to all".to_owned(),
            },
            slot("api", 0, "failed"),
            Progress::Failed {
                app: "api".to_owned(),
                problem: why,
            },
            slot("web", 1, "leaving"),
            Progress::Done {
                app: "web".to_owned(),
                text: "2 workers ready in 310 ms".to_owned(),
            },
            Progress::End { done: 1, failed: 1 },
        ]
    }

    #[test]
    fn progress_is_as_recorded() {
        let terminal = Style {
            colour: true,
            width: Some(80),
        };
        let mut text = String::new();
        for style in [Style::PLAIN, terminal] {
            let mut board = Board::default();
            for news in course() {
                match board.take(&news, style, style) {
                    Said::Nothing => {}
                    Said::Good(said) => text += &format!("out> {said}"),
                    Said::Bad(said) => text += &format!("err> {said}"),
                }
                if style.is_terminal() {
                    text += &format!("     [{}]\n", board.lines(style).join("\n      "));
                }
            }
            assert_eq!(board.failure(), Some(3));
            assert!(board.has_ended());
            text += "---\n";
        }
        snapshot::check("progress", &text);
    }

    #[test]
    fn many_apps_do_not_fill_the_screen() {
        let mut board = Board::default();
        for number in 0..100 {
            let news = Progress::Begun {
                app: format!("app-{number}"),
                verb: "stop".to_owned(),
            };
            let said = board.take(&news, Style::PLAIN, Style::PLAIN);
            assert_eq!(said, Said::Nothing);
        }
        let lines = board.lines(Style::PLAIN);
        assert_eq!(lines.len(), DRAWN + 1);
        assert_eq!(lines[DRAWN], "… and 88 more");
    }
}
