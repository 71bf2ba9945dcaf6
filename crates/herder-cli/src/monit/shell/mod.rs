//! What has the terminal and the daemon, and lets the model have its wishes.

mod keys;
mod tasks;
mod terminal;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use herder_api::Problem;
use herder_api::problem::ProblemKind;
use herder_client::Client;
use herder_sys::signal::{Signal, SignalFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::model::{Input, Model, Wish};
use super::view::{self, Theme};
use terminal::Terminal;

/// Signals that end it, in order: the terminal is to be given back.
const ENDS: [Signal; 4] = [
    Signal::Hangup,
    Signal::Interrupt,
    Signal::Quit,
    Signal::Terminate,
];

/// The shortest time between two frames.
const FRAME: Duration = Duration::from_millis(50);

/// So many things may wait to be taken: whoever tells more, waits.
const INBOX: usize = 64;

/// So many are taken before it is drawn.
const TAKEN: usize = 256;

/// Whether this process has a terminal, to read from and to draw on.
pub(crate) fn has_terminal() -> bool {
    use std::io::IsTerminal;
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Shows everything until somebody has seen enough. `client` must not start daemons: whoever ends one
/// wants it to be ended.
///
/// # Errors
/// When the terminal cannot be had, or is gone.
pub(crate) async fn run(client: Client, theme: Theme) -> Result<(), Problem> {
    // Before there are threads: they inherit what is blocked.
    let signals = SignalFd::block(&ENDS)
        .and_then(readable)
        .map_err(no_terminal)?;
    let mut terminal = Terminal::open().map_err(no_terminal)?;
    let keys = keys::listen();
    let mut shell = Shell::new(client, theme);
    let outcome = shell.live(&mut terminal, keys, &signals).await;
    drop(terminal);
    outcome.map_err(no_terminal)
}

/// That a signal has come is all that is to be known.
#[expect(
    deprecated,
    reason = "what replaces it is unsafe; the descriptor is owned, and stays open as long"
)]
fn readable(signals: SignalFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(signals.as_fd().try_clone_to_owned()?, Interest::READABLE)
}

fn no_terminal(error: io::Error) -> Problem {
    let message = format!("The terminal cannot be used: {error}.");
    Problem::new(ProblemKind::Internal, message).hint("`herder list` shows the apps once.")
}

struct Shell {
    client: Client,
    theme: Theme,
    model: Model,
    inbox: mpsc::Receiver<Input>,
    tell: mpsc::Sender<Input>,
    tasks: JoinSet<()>,
    /// What follows the log.
    log: Option<AbortHandle>,
}

/// Whether it goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Next {
    On,
    End,
}

impl Shell {
    fn new(client: Client, theme: Theme) -> Shell {
        let (tell, inbox) = mpsc::channel(INBOX);
        Shell {
            client,
            theme,
            model: Model::default(),
            inbox,
            tell,
            tasks: JoinSet::new(),
            log: None,
        }
    }

    async fn live(
        &mut self,
        terminal: &mut Terminal,
        mut keys: mpsc::Receiver<io::Result<Input>>,
        signals: &AsyncFd<OwnedFd>,
    ) -> io::Result<()> {
        self.tasks
            .spawn(tasks::watch(self.client.clone(), self.tell.clone()));
        let mut frame = Instant::now();
        loop {
            if self.model.is_stale() && Instant::now() >= frame {
                self.draw(terminal)?;
                frame = Instant::now() + FRAME;
            }
            let next = tokio::select! {
                key = keys.recv() => {
                    let Some(input) = key.transpose()? else { return Ok(()) };
                    // Who presses a key waits for what it does.
                    frame = Instant::now();
                    self.take(input, terminal)?
                }
                input = self.inbox.recv() => match input {
                    Some(input) => self.take_all(input, terminal)?,
                    None => Next::End,
                },
                ready = signals.readable() => {
                    drop(ready?);
                    Next::End
                }
                Some(ended) = self.tasks.join_next() => {
                    if let Err(error) = ended
                        && error.is_panic()
                    {
                        std::panic::resume_unwind(error.into_panic());
                    }
                    Next::On
                }
                () = sleep_until(frame), if self.model.is_stale() => Next::On,
            };
            if next == Next::End {
                return Ok(());
            }
        }
    }

    fn draw(&mut self, terminal: &mut Terminal) -> io::Result<()> {
        let (model, theme) = (&self.model, self.theme);
        let rows = terminal.draw(|frame| view::draw(frame, model, theme))?;
        self.model.drawn(rows);
        Ok(())
    }

    /// Takes it, and what waits behind it.
    fn take_all(&mut self, first: Input, terminal: &mut Terminal) -> io::Result<Next> {
        let mut next = self.take(first, terminal)?;
        for _ in 0..TAKEN {
            let Ok(input) = self.inbox.try_recv() else {
                break;
            };
            if next == Next::On {
                next = self.take(input, terminal)?;
            }
        }
        Ok(next)
    }

    fn take(&mut self, input: Input, terminal: &mut Terminal) -> io::Result<Next> {
        for wish in self.model.take(input, now_ms()) {
            if self.fulfil(wish, terminal)? == Next::End {
                return Ok(Next::End);
            }
        }
        Ok(Next::On)
    }

    fn fulfil(&mut self, wish: Wish, terminal: &mut Terminal) -> io::Result<Next> {
        let (client, tell) = (self.client.clone(), self.tell.clone());
        match wish {
            Wish::Act { deed, action } => {
                self.tasks.spawn(tasks::act(client, tell, deed, action));
            }
            Wish::Follow { follow, query } => {
                let task = tasks::follow(client, tell, follow, query);
                let before = self.log.replace(self.tasks.spawn(task));
                before.inspect(AbortHandle::abort);
            }
            Wish::Unfollow => {
                self.log.take().inspect(AbortHandle::abort);
            }
            Wish::Look(name) => {
                self.tasks.spawn(tasks::look(client, tell, name));
            }
            Wish::Recall(app) => {
                self.tasks.spawn(tasks::recall(client, tell, app));
            }
            Wish::Redraw => terminal.clear()?,
            Wish::Quit => return Ok(Next::End),
        }
        Ok(Next::On)
    }
}

/// Now, in milliseconds since 1970.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}
