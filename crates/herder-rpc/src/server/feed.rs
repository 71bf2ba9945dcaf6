//! What a stream method returns.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::pin;

use futures_core::Stream;
use herder_wire::rpc::CallError;
use serde::Serialize;

use super::Sink;
use crate::BoxFuture;

type Run = Box<dyn FnOnce(Sink) -> BoxFuture<'static, Result<(), CallError>> + Send>;

/// Items for one subscriber, which are made when it has room for them.
///
/// [`crate::server::EventSource`] and [`crate::server::StateSource`] make feeds that go on after
/// a lost connection; a feed of any other stream begins anew, and says so by a gap.
pub struct Feed<T> {
    run: Run,
    items: PhantomData<fn() -> T>,
}

impl<T: Serialize + Send + Sync + 'static> Feed<T> {
    /// The items of a stream.
    pub fn from_stream(stream: impl Stream<Item = T> + Send + 'static) -> Self {
        Self::new(async move |sink| drain(stream, sink).await)
    }
}

/// Feeds a subscriber from a stream that lives as long as the future.
pub(crate) async fn drain<T: Serialize + Send + Sync>(
    stream: impl Stream<Item = T> + Send,
    mut sink: Sink,
) -> Result<(), CallError> {
    let is_continued = sink.resume().is_some();
    sink.open(0);
    if is_continued {
        sink.gap("the stream begins anew", None);
    }
    let mut stream = pin!(stream);
    loop {
        sink.ready().await;
        let next = std::future::poll_fn(|context| stream.as_mut().poll_next(context));
        let Some(item) = next.await else {
            return Ok(());
        };
        sink.send(&item).await?;
    }
}

impl<T> Feed<T> {
    /// Whatever `run` puts into the sink; the stream ends when it does.
    pub fn new<F>(run: impl FnOnce(Sink) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<(), CallError>> + Send + 'static,
    {
        Self {
            run: Box::new(|sink| Box::pin(run(sink))),
            items: PhantomData,
        }
    }

    /// Feeds a subscriber until the items or the subscriber end.
    #[must_use]
    pub fn run(self, sink: Sink) -> BoxFuture<'static, Result<(), CallError>> {
        (self.run)(sink)
    }
}
