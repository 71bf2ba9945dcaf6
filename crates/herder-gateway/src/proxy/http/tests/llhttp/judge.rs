//! Whether what the front makes of a request is right, beside what llhttp makes of it.

use std::net::SocketAddr;
use std::time::Duration;

use super::meant;
use super::reasons;
use super::verdict::{End, Verdict};

/// How long nothing may be said until somebody is taken to wait for more. Longer ones are for a machine that
/// stands still now and then: what seems to be wrong is looked at once more.
const PATIENCE: [Duration; 3] = [
    Duration::from_millis(300),
    Duration::from_secs(2),
    Duration::from_secs(6),
];

/// Who is asked.
pub(super) struct Court {
    pub(super) front: SocketAddr,
    pub(super) direct: SocketAddr,
}

/// The reason of a difference, if there is one.
type Judgement = Result<Option<&'static str>, String>;

impl Court {
    /// Has both read these bytes.
    pub(super) async fn judge(&self, name: &str, bytes: &[u8]) -> Judgement {
        let mut judged = Ok(None);
        for patience in PATIENCE {
            judged = self.judge_within(bytes, patience).await;
            if judged.is_ok() {
                break;
            }
        }
        judged.map_err(|why| {
            let text = bytes.escape_ascii().to_string();
            let text: String = text.chars().take(400).collect();
            format!("{name}: {why}: {text}")
        })
    }

    async fn judge_within(&self, bytes: &[u8], patience: Duration) -> Judgement {
        let direct = Verdict::of(self.direct, bytes, patience);
        let front = Verdict::of(self.front, bytes, patience);
        let (direct, front) = tokio::join!(direct, front);
        let itself = self.front.to_string();
        for (request, got) in direct.seen.iter().zip(&front.seen) {
            meant::compare(request, got, &itself)?;
        }
        let (read, passed) = (direct.seen.len(), front.seen.len());
        let differs = || {
            let (direct, front) = (direct.word(), front.word());
            format!("llhttp: {direct}; the front: {front}")
        };
        let last = direct.seen.last();
        if last.is_some_and(|last| last.upgrades())
            && direct.end == End::Unfinished
            && passed >= read
        {
            return Ok(Some(reasons::FORGOTTEN));
        }
        if last.is_some_and(|last| last.ends_by_trailer()) && passed >= read {
            return Ok(Some(reasons::TRAILER));
        }
        if last.is_some_and(|last| last.is_to_be_kept())
            && direct.end == End::Whole
            && passed > read
        {
            return Ok(Some(reasons::TAB));
        }
        if passed > read {
            return Err(differs());
        }
        match (&direct.end, &front.end) {
            (End::Whole, End::Whole)
            | (End::Refused { .. } | End::Cut, End::Refused { .. } | End::Cut)
            | (End::Unfinished, End::Unfinished)
                if passed == read =>
            {
                Ok(None)
            }
            (_, End::Whole)
                if front
                    .seen
                    .last()
                    .is_some_and(|_| direct.seen[passed - 1].says_both()) =>
            {
                Ok(Some(reasons::BOTH))
            }
            (_, End::Refused { why, .. }) => reasons::of(why).map(Some).ok_or_else(differs),
            _ => Err(differs()),
        }
    }

    /// What the worker has read by the front's connections that was none of its requests.
    pub(super) async fn strays(&self) -> String {
        let ask = b"GET /strays HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let [.., patience] = PATIENCE;
        let answer = Verdict::of(self.direct, ask, patience).await;
        let strays = answer.seen[0].values("strays").collect::<Vec<_>>();
        strays.join(", ")
    }
}
