//! A server that goes away and comes back, and hosts that use it.

use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use herder_services::clock::Clock;
use herder_services::redis::{Link, News, Settings, Space};

use crate::server::{Server, spawn};

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What a host has: its link and a namespace, and what it was told.
pub(crate) struct Host {
    pub(crate) link: Link,
    pub(crate) space: Arc<Space>,
    pub(crate) news: Arc<Mutex<Vec<News>>>,
}

impl Server {
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", signal, &pid]).status();
        assert!(status.expect("kill").success());
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it is ours");
    }

    pub(crate) fn start_again(&mut self) {
        self.child = spawn(&self.directory);
    }

    /// A host that is connected.
    pub(crate) async fn host(&self, name: &str) -> Host {
        self.host_with(name, PATIENCE).await
    }

    /// One that waits no longer than a program would have it wait.
    pub(crate) async fn hasty_host(&self, name: &str) -> Host {
        self.host_with(name, Settings::PATIENCE).await
    }

    async fn host_with(&self, name: &str, patience: Duration) -> Host {
        Host::at(self.url(), name, patience).await
    }
}

impl Host {
    /// A host that is connected to the server at this address.
    pub(crate) async fn at(url: String, name: &str, patience: Duration) -> Host {
        let host = Host::unconnected(url, name, patience);
        host.until(|news| news.contains(&News::Up)).await;
        host
    }

    fn unconnected(url: String, name: &str, patience: Duration) -> Host {
        let settings = Settings {
            url,
            tracked: vec![Space::tracked("test", name)],
            channels: vec!["test:bus".to_owned()],
            patience,
        };
        let news = Arc::new(Mutex::new(Vec::new()));
        let space: Arc<std::sync::OnceLock<Arc<Space>>> = Arc::default();
        let tell = {
            let (news, space) = (Arc::clone(&news), Arc::clone(&space));
            move |item: News| {
                if let Some(space) = space.get() {
                    space.hear(&item);
                }
                news.lock().expect("whole").push(item);
            }
        };
        let link = Link::open(settings, tell).expect("an address");
        let made = Arc::new(Space::new(link.clone(), "test", name, Clock::new()));
        assert!(space.set(Arc::clone(&made)).is_ok());
        Host {
            link,
            space: made,
            news,
        }
    }

    /// Waits until what was told is as wanted.
    pub(crate) async fn until(&self, wanted: impl Fn(&[News]) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !wanted(&self.news.lock().expect("whole")) {
            assert!(Instant::now() < end, "{:?}", self.news);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub(crate) fn forget_news(&self) {
        self.news.lock().expect("whole").clear();
    }
}
