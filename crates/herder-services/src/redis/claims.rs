//! [`Claims`]: who carries out a tick of a job, among several machines.

use std::time::Duration;

use herder_core::schedule::{ClaimAnswer, JobName, Wall};

use super::link::{Link, LinkError};
use super::scripts;

/// How long a tick that was carried out is remembered: a machine whose clock is behind by less
/// does not carry it out again.
const REMEMBERED: Duration = Duration::from_secs(7 * 24 * 3600);

/// The claims in the store. Cheap to clone.
#[derive(Clone)]
pub struct Claims {
    link: Link,
    prefix: String,
    ttl: Duration,
}

impl Claims {
    /// Claims that stand for `ttl`, under keys that begin with `prefix`.
    #[must_use]
    pub fn new(link: Link, prefix: &str, ttl: Duration) -> Claims {
        Claims {
            link,
            prefix: format!("{prefix}:jobs"),
            ttl,
        }
    }

    /// Asks for the right to a tick. Who has it with the token `instead` gets a greater one for it.
    pub async fn claim(&self, name: &JobName, tick: Wall, instead: Option<u64>) -> ClaimAnswer {
        let mut script = scripts::CLAIM.prepare_invoke();
        script
            .key(self.key(name, tick))
            .key(self.counter())
            .arg(millis(self.ttl))
            .arg(instead.map_or_else(String::new, |token| token.to_string()));
        self.understand(self.link.run(&script).await)
    }

    /// Asks for more time.
    pub async fn renew(&self, name: &JobName, tick: Wall, token: u64) -> ClaimAnswer {
        let mut script = scripts::RENEW_CLAIM.prepare_invoke();
        script
            .key(self.key(name, tick))
            .arg(token)
            .arg(millis(self.ttl));
        self.understand(self.link.run(&script).await)
    }

    /// Says that the tick was carried out; whether the claim still stood, or had ended by itself.
    ///
    /// # Errors
    /// When the store does not answer: it should be asked again.
    pub async fn settle(&self, name: &JobName, tick: Wall, token: u64) -> Result<bool, LinkError> {
        let mut script = scripts::SETTLE_CLAIM.prepare_invoke();
        script
            .key(self.key(name, tick))
            .arg(token)
            .arg(millis(REMEMBERED));
        self.link.run(&script).await
    }

    /// Gives the right back.
    ///
    /// # Errors
    /// When the store does not answer: the claim ends by itself.
    pub async fn release(&self, name: &JobName, tick: Wall, token: u64) -> Result<bool, LinkError> {
        let mut script = scripts::RELEASE_CLAIM.prepare_invoke();
        script.key(self.key(name, tick)).arg(token);
        self.link.run(&script).await
    }

    fn key(&self, name: &JobName, tick: Wall) -> String {
        format!("{}:{name}@{}", self.prefix, tick.as_millis())
    }

    fn counter(&self) -> String {
        format!("{}#token", self.prefix)
    }

    fn understand(&self, answer: Result<(u8, String), LinkError>) -> ClaimAnswer {
        let Ok((verdict, number)) = answer else {
            return ClaimAnswer::Unavailable;
        };
        match (verdict, number.parse::<i64>()) {
            (1, Ok(token)) => ClaimAnswer::Ours {
                token: token.unsigned_abs(),
                ttl: self.ttl,
            },
            (2, Ok(_)) => ClaimAnswer::Done,
            // A claim without a time is none of ours; it is looked at again after our own.
            (_, Ok(left)) => ClaimAnswer::Held {
                left: u64::try_from(left).map_or(self.ttl, Duration::from_millis),
            },
            (_, Err(_)) => ClaimAnswer::Unavailable,
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}
