//! Sessions, wherever they are.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::time::Duration;

use herder::WorkerHandle;
use herder::state::{Scan, State, StateError};
use serde::{Deserialize, Serialize};

/// What the namespace is called.
pub(crate) const NAMESPACE: &str = "sessions";

/// How long a session lives without a visit.
const LIFE: Duration = Duration::from_secs(24 * 3600);

/// A client should rather hear that it goes badly than wait for longer than this.
const DEADLINE: Duration = Duration::from_secs(1);

/// How many sessions there are, as last counted.
const ACTIVE: &str = "active";

/// The sessions of all clients.
#[derive(Clone)]
pub(crate) struct Sessions(State);

/// A session.
#[derive(Deserialize, Serialize)]
pub(crate) struct Session {
    pub(crate) user: String,
}

impl Sessions {
    pub(crate) fn new(worker: &WorkerHandle) -> Sessions {
        Sessions(worker.state(NAMESPACE).with_deadline(DEADLINE))
    }

    /// Begins a session, and returns what its client shows from now on.
    pub(crate) async fn begin(&self, user: &str) -> Result<String, StateError> {
        let ticket = ticket().map_err(|error| StateError::Json(error.to_string()))?;
        let session = Session {
            user: user.to_owned(),
        };
        // First the way to find it by its user: what is not found cannot be ended.
        self.0.set(&of(user, &ticket), "").ttl(LIFE).await?;
        let write = self.0.set_as(&key(&ticket), &session).ttl(LIFE);
        write.if_absent().await?;
        Ok(ticket)
    }

    /// The session of a client, if it has one.
    pub(crate) async fn get(&self, ticket: &str) -> Result<Option<Session>, StateError> {
        self.0.get_as(&key(ticket)).await
    }

    /// The session of a client, and how often it was here. The session lives on.
    pub(crate) async fn visit(&self, ticket: &str) -> Result<Option<(Session, i64)>, StateError> {
        let Some(entry) = self.0.get(&key(ticket)).await? else {
            return Ok(None);
        };
        let session: Session = entry.json()?;
        let prolonged = self.0.set(&key(ticket), entry.value).ttl(LIFE);
        match prolonged.if_revision(entry.revision).await {
            // Somebody ended it meanwhile: it must not come back by being prolonged.
            Err(StateError::Conflict { present: 0 }) => return Ok(None),
            // Another visit prolonged it.
            Ok(_) | Err(StateError::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
        self.0.set(&of(&session.user, ticket), "").ttl(LIFE).await?;
        let visits = self.0.increment(&visits(&session.user), 1).await?;
        Ok(Some((session, visits)))
    }

    /// Ends a session.
    pub(crate) async fn end(&self, ticket: &str) -> Result<(), StateError> {
        if let Some(session) = self.get(ticket).await? {
            self.0.delete(&key(ticket)).await?;
            self.0.delete(&of(&session.user, ticket)).await?;
        }
        Ok(())
    }

    /// Ends all sessions of a user, and says how many there were.
    pub(crate) async fn end_all(&self, user: &str) -> Result<usize, StateError> {
        let prefix = of(user, "");
        let (mut scan, mut ended) = (self.0.scan(&prefix), 0);
        while let Some(page) = scan.next().await? {
            for (found, _) in page {
                let ticket = found.strip_prefix(&prefix).unwrap_or_default();
                if self.0.delete(&key(ticket)).await? {
                    ended += 1;
                }
                self.0.delete(&found).await?;
            }
        }
        Ok(ended)
    }

    /// Counts the sessions, and keeps how many there are.
    pub(crate) async fn count(&self) -> Result<usize, StateError> {
        let mut scan: Scan = self.0.scan(&key("")).page(1000);
        let mut count = 0;
        while let Some(page) = scan.next().await? {
            count += page.len();
        }
        self.0.set(ACTIVE, count.to_string()).await?;
        Ok(count)
    }

    /// How many sessions there were when they were counted last.
    pub(crate) async fn active(&self) -> Result<String, StateError> {
        let counted = self.0.get(ACTIVE).await?;
        let text = counted.as_ref().and_then(|entry| entry.text());
        Ok(text.unwrap_or("nobody has counted").to_owned())
    }
}

fn key(ticket: &str) -> String {
    format!("session/{ticket}")
}

fn of(user: &str, ticket: &str) -> String {
    format!("of/{user}/{ticket}")
}

fn visits(user: &str) -> String {
    format!("visits/{user}")
}

/// What nobody guesses.
fn ticket() -> io::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let mut text = String::new();
    for byte in bytes {
        let _infallible = write!(text, "{byte:02x}");
    }
    Ok(text)
}
