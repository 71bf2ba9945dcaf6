//! What all verbs share: where the daemon lives, how one speaks with it, and how one is answered.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use herder_api::Problem;
use herder_api::problem::ProblemKind;
use herder_client::{Client, Warnings};
use serde::Serialize;

use super::failure::{Failure, Outcome};
use crate::render::{Format, Screen};

/// How long a daemon that has the home may take to answer, or to leave.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is asked meanwhile.
const STEP: Duration = Duration::from_millis(20);

/// What all verbs share.
#[derive(Debug)]
pub(crate) struct Context {
    /// `HERDER_HOME`, absolute.
    pub(crate) home: PathBuf,
    pub(crate) screen: Screen,
    pub(crate) format: Format,
    pub(crate) volume: Volume,
    /// What the daemon has to say besides.
    pub(crate) warnings: Warnings,
}

/// How much is said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Volume {
    /// What is useful.
    Normal,
    /// Only what was asked for, and errors.
    Silent,
}

impl Context {
    /// A client that starts the daemon if there is none.
    pub(crate) fn client(&self) -> Client {
        let home = self.home.clone();
        let client = self.client_as_is();
        let socket = client.socket().to_owned();
        client.starting(move || start(&home, &socket))
    }

    /// A client that takes it as it is.
    pub(crate) fn client_as_is(&self) -> Client {
        Client::of_home(&self.home).warning(&self.warnings)
    }

    /// Runs what has to wait.
    pub(crate) fn wait(&self, work: impl Future<Output = Outcome>) -> Outcome {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        match runtime {
            Ok(runtime) => runtime.block_on(work),
            Err(error) => {
                let message = format!("The system gives no event queue: {error}.");
                Err(Problem::new(ProblemKind::Internal, message).into())
            }
        }
    }

    /// Prints what was asked for: as JSON if that is wanted, else as `text` has it.
    pub(crate) fn answer<T: Serialize + ?Sized>(
        &self,
        value: &T,
        text: impl FnOnce() -> String,
    ) -> Outcome {
        match self.format {
            Format::Json => self.json(value),
            Format::Text => Ok(self.screen.print(&text())?),
        }
    }

    /// Prints a value as a line of JSON.
    pub(crate) fn json<T: Serialize + ?Sized>(&self, value: &T) -> Outcome {
        let text = serde_json::to_string(value).map_err(|error| {
            let message = format!("What the daemon says is no JSON: {error}.");
            Problem::new(ProblemKind::Internal, message)
        })?;
        Ok(self.screen.print(&(text + "\n"))?)
    }

    /// Says what is useful, and no answer.
    pub(crate) fn say(&self, text: &str) -> Outcome {
        match (self.volume, self.format) {
            (Volume::Normal, Format::Text) => Ok(self.screen.print(text)?),
            (Volume::Silent, _) | (_, Format::Json) => Ok(()),
        }
    }

    /// Says what should be looked at, but stops nothing.
    pub(crate) fn warn(&self, problems: &[Problem]) {
        if self.volume == Volume::Silent {
            return;
        }
        for problem in problems {
            let warning = Problem {
                message: format!("warning: {}", problem.message),
                ..problem.clone()
            };
            Failure::from(warning).tell(self.screen, self.format);
        }
    }

    /// Says what the daemon had to say besides its answers.
    pub(crate) fn pass_on_warnings(&self) {
        let said = self.warnings.take().into_iter();
        let problems: Vec<Problem> = said
            .map(|text| Problem::new(ProblemKind::Failed, text))
            .collect();
        self.warn(&problems);
    }

    /// Whether the list may follow what was done: somebody looks.
    pub(crate) fn has_onlooker(&self) -> bool {
        let normal = self.volume == Volume::Normal && self.format == Format::Text;
        normal && self.screen.out.is_terminal()
    }
}

/// Starts a daemon. One that is just ending still has the home: another is started when it is gone.
fn start(home: &Path, socket: &Path) -> Result<(), Problem> {
    let end = Instant::now() + PATIENCE;
    loop {
        herder_daemon::summon(home)?;
        let found = UnixStream::connect(socket).map_err(|error| error.kind());
        let absent = matches!(
            found,
            Err(ErrorKind::NotFound | ErrorKind::ConnectionRefused)
        );
        if !absent || Instant::now() > end {
            return Ok(());
        }
        std::thread::sleep(STEP);
    }
}

/// Now, in milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let millis = since.unwrap_or_default().as_millis();
    u64::try_from(millis).unwrap_or(u64::MAX)
}

/// The variables of this process. Those that are no text are left out: JSON cannot have them.
pub(crate) fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Where this process is.
pub(crate) fn directory() -> Result<PathBuf, Problem> {
    std::env::current_dir().map_err(|error| {
        let message = format!("The current directory cannot be found: {error}.");
        Problem::new(ProblemKind::Invalid, message).hint("Go to one that is there: cd")
    })
}

/// Where the daemon lives: HERDER_HOME, or `.herder` in HOME.
pub(crate) fn home(
    variable: impl Fn(&str) -> Option<OsString>,
    directory: impl FnOnce() -> Result<PathBuf, Problem>,
) -> Result<PathBuf, Problem> {
    let set = |name| variable(name).filter(|value| !value.is_empty());
    if let Some(home) = set("HERDER_HOME") {
        let home = PathBuf::from(home);
        return if home.is_absolute() {
            Ok(home)
        } else {
            Ok(directory()?.join(home))
        };
    }
    let user = set("HOME").filter(|home| Path::new(home).is_absolute());
    match user {
        Some(home) => Ok(PathBuf::from(home).join(".herder")),
        None => Err(Problem::new(
            ProblemKind::Invalid,
            "Nothing says where the daemon lives: neither HERDER_HOME nor HOME is set.",
        )
        .hint("HERDER_HOME=/var/lib/herder herder list")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_home_is_where_the_variables_say() {
        let find = |herder: Option<&str>, user: Option<&str>| {
            let variable = |name: &str| match name {
                "HERDER_HOME" => herder.map(OsString::from),
                "HOME" => user.map(OsString::from),
                _ => None,
            };
            home(variable, || Ok(PathBuf::from("/here")))
        };
        let path = |text: &str| Ok(PathBuf::from(text));
        assert_eq!(find(Some("/h"), Some("/u")), path("/h"));
        assert_eq!(find(Some("h"), Some("/u")), path("/here/h"));
        assert_eq!(find(Some(""), Some("/u")), path("/u/.herder"));
        assert!(find(None, None).is_err());
        assert!(find(None, Some("relative")).is_err());
    }
}
