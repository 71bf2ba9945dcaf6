//! What a worker does: answer, then fail.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use herder::{AsyncConnection, AsyncWorker, Draining};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;

/// How long an idle keep-alive connection stays open in a worker that leaves. A request that is on
/// its way is still answered, with `Connection: close`; closing at once would lose it.
const LINGER: Duration = Duration::from_secs(1);

/// Serves connections until the worker is to leave.
pub(crate) async fn serve(worker: AsyncWorker) -> io::Result<()> {
    let text = format!(
        "I am worker, pid:{}, ppid:{}",
        worker.pid(),
        worker.master_pid()
    );
    let text = Bytes::from(text);
    let listener = worker.listener();
    while let Some(connection) = listener.accept().await? {
        tokio::spawn(serve_connection(
            connection,
            text.clone(),
            worker.draining(),
        ));
    }
    Ok(())
}

async fn serve_connection(connection: AsyncConnection, text: Bytes, draining: Draining) {
    let told = draining.clone();
    let service = service_fn(move |_: Request<Incoming>| {
        let response = respond(text.clone(), &told);
        async move { Ok::<_, Infallible>(response) }
    });
    let serving = http1::Builder::new().serve_connection(TokioIo::new(connection), service);
    let mut serving = std::pin::pin!(serving);
    let lingered = async {
        draining.wait().await;
        tokio::time::sleep(LINGER).await;
    };
    // Errors here are the client's: it went away, or does not speak HTTP.
    let _over = tokio::select! {
        over = serving.as_mut() => over,
        () = lingered => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
}

fn respond(text: Bytes, draining: &Draining) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    if draining.is_draining() {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    // Runs when the response has been written: the runtime has one thread, and this task goes on
    // until it has nothing more to do.
    tokio::spawn(fail());
    response
}

#[expect(clippy::panic, reason = "the point of the example")]
async fn fail() {
    panic!("worker process exception!");
}
