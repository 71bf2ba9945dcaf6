//! A method's future whose panics stay its own.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll};
use std::time::Instant;

use herder_wire::rpc::{CallError, ErrorKind, Executed};

use super::pulse::Pulse;
use crate::BoxFuture;

/// A future that ends with [`ErrorKind::Panicked`] instead of panicking.
pub(super) struct Guarded<T> {
    /// `None` when it has ended.
    future: Option<BoxFuture<'static, Result<T, CallError>>>,
}

impl<T> Guarded<T> {
    /// The future that `make` returns; `make` may panic too.
    pub(super) fn new(
        make: impl FnOnce() -> BoxFuture<'static, Result<T, CallError>>,
    ) -> Result<Self, CallError> {
        match catch_unwind(AssertUnwindSafe(make)) {
            Ok(future) => Ok(Self {
                future: Some(future),
            }),
            Err(panic) => Err(panicked(&*panic)),
        }
    }

    /// Goes on with it, and tells `pulse` how long that took.
    pub(super) fn poll(
        &mut self,
        context: &mut Context<'_>,
        pulse: &Pulse,
    ) -> Poll<Result<T, CallError>> {
        let Some(future) = &mut self.future else {
            return Poll::Pending;
        };
        let start = Instant::now();
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)));
        pulse.polled(start);
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(result)) => {
                self.end();
                Poll::Ready(result)
            }
            Err(panic) => {
                self.end();
                Poll::Ready(Err(panicked(&*panic)))
            }
        }
    }

    /// The same as a future.
    pub(super) fn wait<'a>(
        &'a mut self,
        pulse: &'a Pulse,
    ) -> impl Future<Output = Result<T, CallError>> + 'a {
        std::future::poll_fn(move |context| self.poll(context, pulse))
    }

    /// Drops the future now.
    pub(super) fn end(&mut self) {
        let future = self.future.take();
        // A destructor that panics does no harm beyond itself either.
        drop(catch_unwind(AssertUnwindSafe(|| drop(future))));
    }
}

impl<T> Drop for Guarded<T> {
    fn drop(&mut self) {
        self.end();
    }
}

fn panicked(panic: &(dyn Any + Send)) -> CallError {
    let message = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    CallError::new(ErrorKind::Panicked, Executed::Maybe, message)
}
