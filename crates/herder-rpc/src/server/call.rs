//! One call, from the frame to the answer.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use herder_wire::rpc::{CallError, Delivery, ErrorKind, Executed};

use super::connection::{Connection, NotTaken, Task};
use super::gate::{Entered, Gate, Next, Waiting};
use super::guarded::Guarded;
use super::host::Method;
use crate::cx::CancelToken;
use crate::{Args, Cx, Reply};

/// A sweep of a queue comes no more often than the first, and no less often than the second.
const SWEEP_PAUSE: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(100)];

/// A call that has not begun.
pub(super) struct Call {
    pub(super) connection: Arc<Connection>,
    pub(super) method: Arc<Method>,
    pub(super) id: u64,
    pub(super) cx: Cx,
    pub(super) cancel: CancelToken,
    pub(super) args: Args,
    pub(super) delivery: Delivery,
    /// The bytes that it came in.
    pub(super) size: usize,
}

impl Waiting for Call {
    fn connection(&self) -> u64 {
        self.connection.number
    }

    fn id(&self) -> u64 {
        self.id
    }

    fn deadline(&self) -> Instant {
        self.cx.deadline
    }
}

/// Executes a call that has just come, or lets it wait, or refuses it.
///
/// What ends at once is answered from here; for what does not, a task is made.
pub(super) fn arrive(call: Call) -> Result<(), NotTaken> {
    let gate = Arc::clone(&call.method.gate);
    if gate.try_enter() {
        return begin_here(call);
    }
    call.add_to_table()?;
    match gate.enter(call) {
        Entered::Runs(call) => begin_apart(call),
        Entered::Waits => {}
        Entered::WaitsAndSweep => {
            tokio::spawn(sweep(gate));
        }
        Entered::Refused(call, after) => {
            let message = "too many calls of the method run and wait";
            let error = CallError::new(ErrorKind::Overloaded, Executed::No, message);
            if call.connection.take(call.id) {
                call.connection
                    .answer(call.id, call.delivery, Err(error.retry_after(after)));
            }
        }
    }
    Ok(())
}

impl Call {
    fn add_to_table(&self) -> Result<(), NotTaken> {
        let gate = Arc::clone(&self.method.gate);
        self.connection
            .add_call(self.id, self.size, (self.cancel.clone(), gate))
    }

    /// Splits the call into its future and what is needed to answer it.
    fn start(self) -> (Running, Result<Guarded<Reply>, CallError>) {
        let place = Place {
            method: Arc::clone(&self.method),
            since: Instant::now(),
        };
        let deadline = self.cx.deadline;
        let (cx, args) = (self.cx, self.args);
        let future =
            Guarded::new(|| Arc::clone(&self.method.object).call(cx, self.method.number, args));
        let running = Running {
            connection: self.connection,
            id: self.id,
            delivery: self.delivery,
            cancel: self.cancel,
            deadline,
            size: self.size,
            place,
        };
        (running, future)
    }
}

/// A call that has begun.
struct Running {
    connection: Arc<Connection>,
    id: u64,
    delivery: Delivery,
    cancel: CancelToken,
    deadline: Instant,
    size: usize,
    place: Place,
}

/// Begins a call on the task that read it. It has a place at the gate.
fn begin_here(call: Call) -> Result<(), NotTaken> {
    let (running, future) = call.start();
    let mut future = match future {
        Ok(future) => future,
        Err(error) => {
            running.answer_at_once(Err(error));
            return Ok(());
        }
    };
    let pulse = &running.connection.host.pulse;
    if let Poll::Ready(result) = future.poll(&mut Context::from_waker(Waker::noop()), pulse) {
        running.answer_at_once(result);
        return Ok(());
    }
    // The task polls it again at once, with a waker of its own.
    let gate = Arc::clone(&running.place.method.gate);
    let connection = &running.connection;
    connection.add_call(running.id, running.size, (running.cancel.clone(), gate))?;
    let task = connection.task();
    tokio::spawn(run(running, future, task));
    Ok(())
}

/// Begins a call on a task of its own. It has a place at the gate, and is in the table.
fn begin_apart(call: Call) {
    let task = call.connection.task();
    tokio::spawn(async move {
        if call.cx.deadline <= Instant::now() {
            drop(Place {
                method: Arc::clone(&call.method),
                since: Instant::now(),
            });
            expire(vec![call]);
            return;
        }
        let (running, future) = call.start();
        match future {
            Ok(future) => run(running, future, task).await,
            Err(error) => running.answer(Err(error)),
        }
    });
}

async fn run(running: Running, mut future: Guarded<Reply>, task: Task) {
    let deadline = tokio::time::Instant::from_std(running.deadline);
    let result = tokio::select! {
        biased;
        () = running.cancel.cancelled() => None,
        result = future.wait(&running.connection.host.pulse) => Some(result),
        () = tokio::time::sleep_until(deadline) => Some(Err(too_late(Executed::Maybe))),
    };
    if let Some(result) = result {
        running.answer(result);
    }
    drop(future);
    drop(task);
}

impl Running {
    /// The answer of a call that no other task has heard of.
    fn answer_at_once(self, result: Result<Reply, CallError>) {
        self.note_panic(&result);
        drop(self.place);
        self.connection.answer(self.id, self.delivery, result);
    }

    fn answer(self, result: Result<Reply, CallError>) {
        self.note_panic(&result);
        // Whoever watches for it from elsewhere learns of a deadline so.
        self.cancel.cancel();
        drop(self.place);
        if self.connection.take(self.id) {
            self.connection.answer(self.id, self.delivery, result);
            self.connection.outbox.wake();
        }
    }

    fn note_panic(&self, result: &Result<Reply, CallError>) {
        if result
            .as_ref()
            .is_err_and(|error| error.kind == ErrorKind::Panicked)
        {
            self.connection.host.panicked();
        }
    }
}

/// A place at the gate of a method; the next call gets it when this one is dropped.
struct Place {
    method: Arc<Method>,
    since: Instant,
}

impl Drop for Place {
    fn drop(&mut self) {
        let now = Instant::now();
        let Next { runs, expired } = self.method.gate.leave(now - self.since, now);
        expire(expired);
        if let Some(call) = runs {
            begin_apart(call);
        }
    }
}

/// Removes the calls whose callers wait no longer, until nothing waits.
async fn sweep(gate: Arc<Gate<Call>>) {
    loop {
        let now = Instant::now();
        let (expired, next) = gate.sweep(now);
        expire(expired);
        let Some(next) = next else { return };
        let [shortest, longest] = SWEEP_PAUSE;
        tokio::time::sleep_until(next.clamp(now + shortest, now + longest).into()).await;
    }
}

/// Answers calls that have waited too long; they do not run.
fn expire(calls: Vec<Call>) {
    for call in calls {
        if call.connection.take(call.id) {
            call.connection
                .answer(call.id, call.delivery, Err(too_late(Executed::No)));
            call.connection.outbox.wake();
        }
    }
}

/// The error of a call whose time is over.
pub(super) fn too_late(executed: Executed) -> CallError {
    let message = match executed {
        Executed::No => "it waited for its turn all the time",
        Executed::Yes | Executed::Maybe => "",
    };
    CallError::new(ErrorKind::Deadline, executed, message)
}
