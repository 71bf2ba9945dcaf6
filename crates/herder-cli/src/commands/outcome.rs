//! Following what the daemon does, to its end.

use std::time::Duration;

use herder_api::control::{Action, Progress, Verb};
use herder_client::{Error, Lines};

use super::context::{Context, Volume, now_ms};
use super::{Failure, Outcome};
use crate::render::Format;
use crate::render::list::list;
use crate::render::progress::{Board, Said};
use crate::render::text::wait;

/// When something lasts, how long it has lasted is shown as often.
const TICK: Duration = Duration::from_secs(1);

/// An action without anything besides.
pub(crate) fn action(verb: Verb, targets: Vec<String>) -> Action {
    Action {
        verb,
        targets,
        environment: None,
        profile: None,
        settings: serde_json::Map::new(),
    }
}

/// Everybody, if nobody is named.
pub(crate) fn or_all(targets: Vec<String>) -> Vec<String> {
    if targets.is_empty() {
        vec!["all".to_owned()]
    } else {
        targets
    }
}

/// Has it done, and follows it to its end.
pub(crate) async fn act(context: &Context, action: &Action) -> Outcome {
    let lines = context.client().act(action).await?;
    follow(context, lines).await
}

/// Shows how far it has come until it is done. What failed is told, and is the exit status.
pub(crate) async fn follow(context: &Context, mut lines: Lines<Progress>) -> Outcome {
    let mut show = Show::new(context);
    let mut tick = tokio::time::interval(TICK);
    tick.tick().await;
    loop {
        let news = tokio::select! {
            news = lines.next() => news,
            _ = tick.tick() => {
                show.redraw();
                continue;
            }
        };
        match news {
            None => break,
            Some(Ok(news)) => show.take(&news)?,
            Some(Err(error)) => {
                show.clear();
                return Err(error.into());
            }
        }
    }
    show.clear();
    match (show.board.failure(), show.board.has_ended()) {
        (Some(status), _) => Err(Failure::Told(status)),
        (None, true) => Ok(()),
        (None, false) => Err(unfinished().into()),
    }
}

/// Of the end of the daemon itself: that the connection ends with it is no error.
pub(crate) async fn follow_to_the_end(context: &Context, lines: Lines<Progress>) -> Outcome {
    match follow(context, lines).await {
        Err(Failure::Daemon(Error::Unreachable(_))) => Ok(()),
        outcome => outcome,
    }
}

/// The list, for who looks on.
pub(crate) async fn show_list(context: &Context) -> Outcome {
    if !context.has_onlooker() {
        return Ok(());
    }
    let apps = context.client_as_is().apps(&[]).await?;
    let text = list(&apps, now_ms(), context.screen.out);
    Ok(context.screen.print(&text)?)
}

fn unfinished() -> Error {
    let kind = herder_api::problem::ProblemKind::Busy;
    let problem = herder_api::Problem::new(kind, "The daemon stopped speaking before it was done.");
    Error::Unreachable(problem.hint("What has become of it, `herder list` shows."))
}

/// What is on the screen.
struct Show<'a> {
    context: &'a Context,
    board: Board,
    began: std::time::Instant,
    /// How many lines are drawn that may be drawn anew.
    drawn: usize,
}

impl Show<'_> {
    fn new(context: &Context) -> Show<'_> {
        Show {
            context,
            board: Board::default(),
            began: std::time::Instant::now(),
            drawn: 0,
        }
    }

    fn take(&mut self, news: &Progress) -> Outcome {
        let screen = self.context.screen;
        let said = self.board.take(news, screen.out, screen.err);
        if self.context.format == Format::Json {
            return self.context.json(news);
        }
        self.clear();
        match said {
            Said::Good(text) => self.context.say(&text)?,
            Said::Bad(text) => screen.tell(&text),
            Said::Nothing => {}
        }
        self.redraw();
        Ok(())
    }

    /// Draws what is under way, on stderr: it is for the eye alone.
    fn redraw(&mut self) {
        let context = self.context;
        let quiet = context.volume == Volume::Silent || context.format == Format::Json;
        if quiet || !context.screen.err.is_terminal() || !context.screen.out.is_terminal() {
            return;
        }
        let mut lines = self.board.lines(context.screen.err);
        let lasted = self.began.elapsed();
        if let Some(last) = lines.last_mut().filter(|_| lasted >= TICK) {
            let lasted = u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX);
            *last += &format!("  ({})", wait(lasted / 1000 * 1000));
        }
        let mut text = erase(self.drawn);
        for line in &lines {
            // A line that is broken by the terminal would be two to erase.
            text += &format!("\x1b[?7l{line}\x1b[?7h\n");
        }
        self.drawn = lines.len();
        context.screen.tell(&text);
    }

    fn clear(&mut self) {
        if self.drawn > 0 {
            self.context.screen.tell(&erase(self.drawn));
            self.drawn = 0;
        }
    }
}

/// Back to the first of so many lines, and everything from there on away.
fn erase(lines: usize) -> String {
    match lines {
        0 => String::new(),
        _ => format!("\x1b[{lines}A\r\x1b[J"),
    }
}
