//! Evaluating beside everything else that a worker does.

use std::io;
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::engine::{self, Failure, STACK};

/// How much longer than its limit an evaluation is waited for: the engine looks at the clock now
/// and then, and a busy machine starts a thread late.
const MARGIN: Duration = Duration::from_millis(250);

/// Evaluates on a thread of its own, so that the worker's timers and its heartbeat go on.
///
/// An evaluation that cannot be interrupted keeps its thread; the process must end to be rid of it.
///
/// # Errors
/// When there can be no thread, or it has panicked.
pub(crate) async fn evaluate(text: String, limit: Duration) -> io::Result<Result<String, Failure>> {
    let (tell, told) = oneshot::channel();
    let evaluation = move || {
        // Nobody listens any more when it took too long.
        let _ignored = tell.send(engine::evaluate(&text, limit));
    };
    thread::Builder::new()
        .name("evaluation".to_owned())
        .stack_size(STACK)
        .spawn(evaluation)?;
    match timeout(limit + MARGIN, told).await {
        Ok(result) => result.map_err(io::Error::other),
        Err(_) => Ok(Err(Failure::TooLong(limit))),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[tokio::test]
    async fn timers_go_on_while_a_text_is_evaluated() {
        let limit = Duration::from_millis(300);
        let begun = Instant::now();
        let evaluation = tokio::spawn(evaluate("for (;;);".to_owned(), limit));
        let mut ticks = 0;
        while !evaluation.is_finished() {
            tokio::time::sleep(Duration::from_millis(1)).await;
            ticks += 1;
        }
        assert!(ticks > 20, "{ticks} in {:?}", begun.elapsed());
        let result = evaluation.await.unwrap().unwrap();
        assert_eq!(result, Err(Failure::TooLong(limit)));
    }

    #[tokio::test]
    async fn what_the_engine_cannot_interrupt_is_not_waited_for() {
        let limit = Duration::from_millis(10);
        // Some seconds in a loop of native code.
        let text = "Array.prototype.indexOf.call({ length: 5e7 }, 1)".to_owned();
        let result = evaluate(text, limit).await.unwrap();
        assert_eq!(result, Err(Failure::TooLong(limit)));
    }

    #[tokio::test]
    async fn an_innocent_text_has_its_result() {
        let result = evaluate("13 * 2".to_owned(), Duration::from_secs(20)).await;
        assert_eq!(result.unwrap(), Ok("26".to_owned()));
    }
}
