//! Streams without an end outlive the daemon that tells them: another one is there soon.

use std::time::{Duration, Instant};

use herder_api::Problem;
use herder_api::problem::ProblemKind;
use herder_client::Error;

use super::Failure;
use super::context::{Context, now_ms};

/// How long a daemon that has gone may take to be back. (One that dies again and again is started again
/// ever later.)
const RETURN: Duration = Duration::from_secs(10);

/// How often it is looked for.
const STEP: Duration = Duration::from_millis(100);

/// A stream that is over so soon, and so often in a row, is not asked for again.
const BRIEF: Duration = Duration::from_secs(1);
const MANY: u32 = 10;

/// What becomes of streams that end.
#[derive(Debug)]
pub(crate) struct Again {
    began: Instant,
    /// The same in milliseconds since 1970.
    began_ms: u64,
    brief: u32,
}

/// What follows on the end of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sequel {
    /// Another daemon is there: the same can be asked again.
    Another,
    /// The daemon that told it is there as before: it has no more to tell.
    End,
}

impl Again {
    /// The first one begins now.
    pub(crate) fn new() -> Again {
        Again {
            began: Instant::now(),
            began_ms: now_ms(),
            brief: 0,
        }
    }

    /// The stream has ended; `why` = it broke off. Returns when it is known what follows.
    ///
    /// # Errors
    /// The daemon has not come back, or the stream was refused or made no sense.
    pub(crate) async fn wait(
        &mut self,
        why: Option<Error>,
        context: &Context,
    ) -> Result<Sequel, Failure> {
        let has_ended = why.is_none();
        if let Some(error @ Error::Problem(_)) = why {
            return Err(error.into());
        }
        let lasted = self.began.elapsed();
        self.brief = if lasted < BRIEF { self.brief + 1 } else { 0 };
        if self.brief >= MANY {
            let text = "The daemon ends this again and again, and does not say why.";
            let problem = Problem::new(ProblemKind::Failed, text);
            let hint = format!(
                "{} may tell more.",
                context.home.join("daemon.err").display()
            );
            return Err(problem.hint(hint).into());
        }
        let (gone, client) = (Instant::now(), context.client_as_is());
        loop {
            // It may answer once more while it ends.
            tokio::time::sleep(STEP).await;
            match client.daemon().await {
                Ok(daemon) if has_ended && daemon.since_ms < self.began_ms => {
                    return Ok(Sequel::End);
                }
                Ok(_) => {
                    (self.began, self.began_ms) = (Instant::now(), now_ms());
                    return Ok(Sequel::Another);
                }
                Err(Error::Problem(problem)) if problem.kind != ProblemKind::Busy => {
                    return Err(problem.into());
                }
                Err(_) => {}
            }
            if gone.elapsed() >= RETURN {
                let text = format!(
                    "The daemon has ended, and did not come back within {} s.",
                    RETURN.as_secs()
                );
                let problem = Problem::new(ProblemKind::Busy, text);
                let problem = problem.hint("The next command starts it: herder list");
                return Err(Error::Unreachable(problem).into());
            }
        }
    }
}
