//! The face of the books: what the control API asks, and gets.

mod warnings;

use std::collections::BTreeMap;
use std::path::PathBuf;

use herder_api::Problem;
use herder_api::control::{Action, Apply, DaemonEvent, Plan, Progress, Start, StopDaemon};
use herder_api::problem::ProblemKind;
use herder_api::status::{AppDetail, AppStatus, DaemonStatus};
use tokio::sync::{broadcast, mpsc, oneshot};

pub(crate) use warnings::{Until, Warnings};

/// Asks the books. Cheap to clone; any thread may have one.
///
/// Everything waits only for the books, never for an app: what takes time tells its [`Progress`], and
/// goes on if nobody listens. The last item of such a stream is [`Progress::End`].
#[derive(Clone, Debug)]
pub struct Desk {
    asks: mpsc::Sender<Ask>,
    events: broadcast::Sender<DaemonEvent>,
    warnings: Warnings,
}

/// Where an app's files are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AppFiles {
    /// The app's number.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// How many workers it has, for files that each has of its own.
    pub workers: u16,
    /// How its lines are written, and to how many files.
    pub logs: herder_api::app::Logs,
    /// What its workers print on stdout. None = nowhere.
    pub out: Option<PathBuf>,
    /// What they print on stderr; may be the same.
    pub error: Option<PathBuf>,
    /// The herd's own events, one JSON object a line. Rotated files stand beside it.
    pub events: PathBuf,
    /// The daemon's own events, of all apps: one [`DaemonEvent`] a line.
    pub daemon: PathBuf,
}

pub(crate) type Reply<T> = oneshot::Sender<Result<T, Problem>>;
pub(crate) type Course = mpsc::Receiver<Progress>;

/// What is asked.
#[derive(Debug)]
pub(crate) enum Ask {
    Daemon(Reply<DaemonStatus>),
    List(Vec<String>, Reply<Vec<AppStatus>>),
    Detail(String, Reply<AppDetail>),
    Environment(String, Reply<BTreeMap<String, String>>),
    Start(Box<Start>, Reply<Course>),
    Act(Box<Action>, Reply<Course>),
    Plan(Box<Apply>, Reply<Plan>),
    Apply(Box<Apply>, Reply<Course>),
    Save(Reply<Course>),
    Resurrect(Reply<Course>),
    Stop(StopDaemon, Reply<Course>),
    Files(Vec<String>, Reply<Vec<AppFiles>>),
}

impl Desk {
    pub(crate) fn new(asks: mpsc::Sender<Ask>, events: broadcast::Sender<DaemonEvent>) -> Desk {
        let warnings = Warnings::default();
        Desk {
            asks,
            events,
            warnings,
        }
    }

    /// What everybody has to know who asks.
    pub(crate) fn warnings(&self) -> &Warnings {
        &self.warnings
    }

    /// The daemon itself.
    ///
    /// # Errors
    /// `Busy` while it ends.
    pub async fn daemon(&self) -> Result<DaemonStatus, Problem> {
        self.ask(Ask::Daemon).await
    }

    /// The apps that the targets name, by number; no targets = all apps. With what they use now.
    ///
    /// # Errors
    /// `NotFound` with close matches; `Invalid` for a bad pattern.
    pub async fn list(&self, targets: &[String]) -> Result<Vec<AppStatus>, Problem> {
        self.ask(|reply| Ask::List(targets.to_vec(), reply)).await
    }

    /// All that is known of the app of that name or number. Secrets are `***`.
    ///
    /// # Errors
    /// `NotFound` with close matches.
    pub async fn detail(&self, name: &str) -> Result<AppDetail, Problem> {
        self.ask(|reply| Ask::Detail(name.to_owned(), reply)).await
    }

    /// The environment that its next worker would have. Secrets are `***`.
    ///
    /// # Errors
    /// `NotFound` with close matches.
    pub async fn environment(&self, name: &str) -> Result<BTreeMap<String, String>, Problem> {
        self.ask(|reply| Ask::Environment(name.to_owned(), reply))
            .await
    }

    /// Takes apps into the list, and starts them.
    ///
    /// # Errors
    /// What is wrong with the definitions, before anything is done; `Conflict` for names that are known.
    pub async fn start(&self, start: Start) -> Result<mpsc::Receiver<Progress>, Problem> {
        self.ask(|reply| Ask::Start(Box::new(start), reply)).await
    }

    /// Does something with apps of the list.
    ///
    /// # Errors
    /// `NotFound` and `Invalid` for targets and settings, before anything is done. That an app is busy
    /// with something else is that app's failure in the stream.
    pub async fn act(&self, action: Action) -> Result<mpsc::Receiver<Progress>, Problem> {
        self.ask(|reply| Ask::Act(Box::new(action), reply)).await
    }

    /// What [`Desk::apply`] would do.
    ///
    /// # Errors
    /// What is wrong with the definitions.
    pub async fn plan(&self, apply: Apply) -> Result<Plan, Problem> {
        self.ask(|reply| Ask::Plan(Box::new(apply), reply)).await
    }

    /// Makes the definitions hold.
    ///
    /// # Errors
    /// What is wrong with the definitions; `Conflict` when the plan is another one than was shown.
    pub async fn apply(&self, apply: Apply) -> Result<mpsc::Receiver<Progress>, Problem> {
        self.ask(|reply| Ask::Apply(Box::new(apply), reply)).await
    }

    /// Saves the list, with which apps run, for [`Desk::resurrect`].
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn save(&self) -> Result<mpsc::Receiver<Progress>, Problem> {
        self.ask(Ask::Save).await
    }

    /// Starts what was saved and is not in the list.
    ///
    /// # Errors
    /// `NotFound` when nothing was saved, `Invalid` when neither the saved list nor the one before can
    /// be read.
    pub async fn resurrect(&self) -> Result<mpsc::Receiver<Progress>, Problem> {
        self.ask(Ask::Resurrect).await
    }

    /// Ends the daemon: the apps first, unless they are to be left. It goes when the stream has ended.
    ///
    /// # Errors
    /// `Busy` when it is ending already.
    pub async fn stop(&self, stop: StopDaemon) -> Result<mpsc::Receiver<Progress>, Problem> {
        self.ask(|reply| Ask::Stop(stop, reply)).await
    }

    /// What happens from now on, of the daemon and of all herds. Who is too slow misses some
    /// (`RecvError::Lagged` says how many).
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<DaemonEvent> {
        self.events.subscribe()
    }

    /// The log files of the apps that the targets name; no targets = all apps.
    ///
    /// # Errors
    /// `NotFound` with close matches.
    pub async fn log_files(&self, targets: &[String]) -> Result<Vec<AppFiles>, Problem> {
        self.ask(|reply| Ask::Files(targets.to_vec(), reply)).await
    }

    /// The files that tell the history of the app of that name or number.
    ///
    /// # Errors
    /// `NotFound` with close matches.
    pub async fn history_files(&self, name: &str) -> Result<AppFiles, Problem> {
        let mut files = self.log_files(&[name.to_owned()]).await?;
        match (files.pop(), files.is_empty()) {
            (Some(one), true) => Ok(one),
            _ => Err(Problem::new(
                ProblemKind::Invalid,
                format!("{name:?} names several apps: name one"),
            )),
        }
    }

    /// Waits until the books are closed: nobody answers any more.
    pub(crate) async fn closed(&self) {
        self.asks.closed().await;
    }

    async fn ask<T>(&self, what: impl FnOnce(Reply<T>) -> Ask) -> Result<T, Problem> {
        let (reply, answer) = oneshot::channel();
        let gone = || Problem::new(ProblemKind::Busy, "the daemon is ending");
        self.asks.send(what(reply)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}
