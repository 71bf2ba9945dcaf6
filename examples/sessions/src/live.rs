//! Who waits to hear that a user was logged out.

use herder::bus::{Bus, BusError, Heard, Messages, To};
use tokio::sync::broadcast::{self, Receiver, Sender};

/// The topic.
const LOGGED_OUT: &str = "logged-out";

/// So much news may wait for a client's turn.
const NEWS: usize = 64;

/// The news, for the clients that wait at this worker.
#[derive(Clone)]
pub(crate) struct Live {
    bus: Bus,
    news: Sender<News>,
}

/// What is new. It is a hint: whether a session has ended, the state says.
#[derive(Clone, PartialEq)]
pub(crate) enum News {
    /// This user was logged out everywhere.
    LoggedOut(String),
    /// Some news was lost: anybody may have been.
    Unknown,
}

impl Live {
    /// Listens from now on.
    pub(crate) async fn follow(bus: &Bus) -> Result<Live, BusError> {
        let messages = bus.subscribe([LOGGED_OUT]).await?;
        let (news, _) = broadcast::channel(NEWS);
        tokio::spawn(pass_on(messages, news.clone()));
        let bus = bus.clone();
        Ok(Live { bus, news })
    }

    /// The news from now on.
    pub(crate) fn news(&self) -> Receiver<News> {
        self.news.subscribe()
    }

    /// Tells all workers of all machines that this user was logged out.
    pub(crate) async fn logged_out(&self, user: &str) -> Result<(), BusError> {
        let told = self.bus.send(To::Everywhere, LOGGED_OUT, user).await;
        told.map(drop)
    }
}

async fn pass_on(mut messages: Messages, news: Sender<News>) {
    while let Some(Ok(heard)) = messages.next().await {
        let new = match heard {
            Heard::Message(message) => message.json().map_or(News::Unknown, News::LoggedOut),
            Heard::Missed { .. } => News::Unknown,
        };
        // Nobody may be waiting here.
        let _nobody = news.send(new);
    }
}
