//! Clients that speak HTTP/2, by a library of its own and by Node, before workers whose every byte a test decides.

mod bodies;
mod leaving;
mod limits;
mod node;
mod requests;

use bytes::{Bytes, BytesMut};
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_local};

use super::{Rig, play, read_request, read_to};

/// A client of HTTP/2.
struct Caller {
    requests: SendRequest<Bytes>,
    /// How the connection has ended.
    ended: JoinHandle<Result<(), h2::Error>>,
}

/// A whole answer.
struct Reply {
    status: u16,
    headers: HeaderMap,
    body: String,
    trailers: Option<HeaderMap>,
}

impl Caller {
    async fn new(rig: &Rig) -> Caller {
        Caller::with(rig, &h2::client::Builder::new()).await
    }

    async fn with(rig: &Rig, builder: &h2::client::Builder) -> Caller {
        let stream = TcpStream::connect(rig.address).await.unwrap();
        let (requests, connection) = builder.handshake(stream).await.unwrap();
        Caller {
            requests,
            ended: spawn_local(connection),
        }
    }

    /// Begins a request, of which more may follow.
    async fn begin(&mut self, request: Request<()>) -> (ResponseFuture, SendStream<Bytes>) {
        let mut requests = self.requests.clone().ready().await.unwrap();
        requests.send_request(request, false).unwrap()
    }

    /// Asks for an answer, by a request without a body.
    async fn send(&mut self, request: Request<()>) -> Response<RecvStream> {
        let mut requests = self.requests.clone().ready().await.unwrap();
        let (response, _) = requests.send_request(request, true).unwrap();
        response.await.unwrap()
    }

    async fn ask(&mut self, request: Request<()>) -> Reply {
        read(self.send(request).await).await
    }
}

fn get(path: &str) -> Request<()> {
    Request::get(format!("http://a{path}")).body(()).unwrap()
}

fn post(path: &str) -> Request<()> {
    Request::post(format!("http://a{path}")).body(()).unwrap()
}

/// Reads an answer to its end.
async fn read(response: Response<RecvStream>) -> Reply {
    let (parts, mut body) = response.into_parts();
    let mut text = BytesMut::new();
    while let Some(data) = body.data().await {
        let data = data.unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        text.extend_from_slice(&data);
    }
    Reply {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: String::from_utf8(text.to_vec()).unwrap(),
        trailers: body.trailers().await.unwrap(),
    }
}

/// A worker that reads one request, and never answers. It tells when the request came, and when it was left alone.
fn mute(rig: &Rig) -> (oneshot::Receiver<()>, oneshot::Receiver<()>) {
    use tokio::io::AsyncReadExt;
    let ((come, came), (leave, left)) = (oneshot::channel(), oneshot::channel());
    let tell = std::cell::Cell::new(Some((come, leave)));
    rig.worker(1, move |mut stream, _| {
        let tell = tell.take();
        async move {
            read_request(&mut stream).await;
            let Some((come, leave)) = tell else { return };
            come.send(()).unwrap();
            let rest = stream.read(&mut [0; 64]).await;
            assert!(matches!(rest, Ok(0) | Err(_)), "{rest:?}");
            leave.send(()).unwrap();
        }
    });
    (came, left)
}
