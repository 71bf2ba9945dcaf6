//! Clients behind a layer that takes more than it can pass on, as TLS does.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use herder_core::proxy::retry::Received;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout};

use crate::edge::stream::{Peer, Stream};
use crate::proxy::backends::Backends;
use crate::proxy::http::chunks::{Chunks, Frames};
use crate::proxy::http::clock::Clock;
use crate::proxy::http::exchange::{Exchange, Failed, Habits, Upload};
use crate::proxy::http::pipe::{Framing, Pipe, Retain};
use crate::proxy::http::scan::Limits;

/// Takes all that is written, and passes it on from some moment on.
struct Layer {
    opens: Pin<Box<tokio::time::Sleep>>,
}

impl Layer {
    fn opening_in(span: Duration) -> Layer {
        Layer {
            opens: Box::pin(tokio::time::sleep(span)),
        }
    }
}

impl AsyncRead for Layer {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Layer {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.opens.as_mut().poll(context).map(Ok)
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Peer for Layer {}

const FOR_CLIENTS: Duration = Duration::from_secs(30);
const FOR_WORKERS: Duration = Duration::from_secs(60);
const FOR_EVER: Duration = Duration::from_secs(100_000);

/// Passes on the body of an answer, of which this came; and after how many seconds that failed.
async fn pass(mut client: Layer, framing: Framing, came: &str) -> Option<(Failed, u64)> {
    let (worker, _silent) = UnixStream::pair().unwrap();
    let mut up = Pipe::new(BytesMut::new(), Framing::Length(0), Retain::No);
    let mut exchange = Exchange {
        client: &mut client,
        ahead: &mut BytesMut::new(),
        up: &mut up,
        clock: &mut Clock::new(),
        habits: Habits {
            answer: Limits {
                bytes: 1000,
                lines: 10,
            },
            body_timeout: FOR_CLIENTS,
            response_timeout: FOR_WORKERS,
            body_rate: 0,
        },
        backends: &Backends::new(&serde_json::from_str(r#"{"app": "shop"}"#).unwrap()),
        worker: Stream::Unix(worker),
        inbox: BytesMut::from(came),
        upload: Upload::Over,
        begun: None,
        received: Received::Something,
    };
    let mut down = Pipe::new(BytesMut::from("head "), framing, Retain::No);
    let begun = Instant::now();
    let passed = timeout(FOR_EVER, exchange.body(&mut down)).await;
    let failed = passed.ok()?.unwrap_err();
    Some((failed, begun.elapsed().as_secs()))
}

fn chunks() -> Framing {
    Framing::Chunks(Chunks::new(Frames::Kept, 0))
}

#[tokio::test(start_paused = true)]
async fn what_is_not_read_is_the_clients_fault() {
    for (framing, came) in [
        (Framing::Length(10), "hello"),
        (Framing::Length(5), "hello"),
        (chunks(), "5\r\nhello\r\n"),
        (chunks(), "5\r\nhello\r\n0\r\n\r\n"),
        (Framing::Close, "hello"),
    ] {
        let (failed, seconds) = pass(Layer::opening_in(FOR_EVER * 2), framing, came)
            .await
            .expect("it has a limit");
        assert!(matches!(failed, Failed::ClientGone), "{failed:?}");
        assert_eq!(seconds, 30);
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_has_its_time_from_when_the_client_has_read() {
    let late = Duration::from_secs(20);
    let passed = pass(Layer::opening_in(late), Framing::Length(10), "hello").await;
    let (failed, seconds) = passed.unwrap();
    assert!(matches!(failed, Failed::Worker { .. }), "{failed:?}");
    assert_eq!(seconds, 80);
    // Streams may be silent for as long as they like.
    let passed = pass(Layer::opening_in(late), chunks(), "5\r\nhello\r\n").await;
    assert!(passed.is_none(), "{passed:?}");
}
