//! What a worker is told without asking.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use herder::WorkerHandle;
use herder::bus::Heard;
use herder::state::{StateError, Watched};

/// Who was cut off listens again after this.
const AGAIN: Duration = Duration::from_millis(20);

/// The latest news.
#[derive(Clone, Default)]
pub(crate) struct Known(Arc<Mutex<News>>);

#[derive(Default)]
struct News {
    values: BTreeMap<String, String>,
    heard: Option<String>,
}

impl Known {
    pub(crate) fn watched(&self, key: &str) -> String {
        self.with(|news| news.values.get(key).cloned().unwrap_or("-".to_owned()))
    }

    pub(crate) fn heard(&self) -> String {
        self.with(|news| news.heard.clone().unwrap_or("-".to_owned()))
    }

    fn with<T>(&self, look: impl FnOnce(&mut News) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Follows the shared namespace.
pub(crate) async fn state(worker: WorkerHandle, known: Known) {
    loop {
        // It ends with the library; there will be another.
        let _cut_off = watch(&worker, &known).await;
        tokio::time::sleep(AGAIN).await;
    }
}

async fn watch(worker: &WorkerHandle, known: &Known) -> Result<(), StateError> {
    let mut watch = worker.state("shared").watch("").await?;
    while let Some(watched) = watch.next().await {
        let watched = watched?;
        known.with(|news| match watched {
            Watched::Complete => {}
            Watched::Deleted { key } => drop(news.values.remove(&key)),
            Watched::Put { key, entry } => {
                let text = entry.text().unwrap_or("?").to_owned();
                news.values.insert(key, text);
            }
            Watched::Restarted { .. } => news.values.clear(),
        });
    }
    Ok(())
}

/// Listens to messages.
pub(crate) async fn news(worker: WorkerHandle, known: Known) {
    loop {
        if let Ok(mut messages) = worker.bus().subscribe(["news"]).await {
            while let Some(Ok(heard)) = messages.next().await {
                if let Heard::Message(message) = heard {
                    let text = message.payload.as_str().unwrap_or("?").to_owned();
                    known.with(|news| news.heard = Some(text));
                }
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}
