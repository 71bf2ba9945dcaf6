//! One connection, whichever protocol it speaks.

use crate::client::Target;
use futures_util::{SinkExt, StreamExt};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpStream, UnixStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// Where a client connects, and what it speaks there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    target: Target,
    speech: Speech,
    origin: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speech {
    Lines,
    WebSocket,
}

impl Door {
    /// WebSocket at a TCP address.
    pub fn web_socket(address: SocketAddr) -> Door {
        Door::new(Target::Tcp(address), Speech::WebSocket)
    }

    /// Newline-delimited messages, over TCP or a Unix socket.
    pub fn lines(target: impl Into<Target>) -> Door {
        Door::new(target.into(), Speech::Lines)
    }

    fn new(target: Target, speech: Speech) -> Door {
        Door {
            target,
            speech,
            origin: None,
        }
    }

    /// Says where the page comes from that opens the connection, as a browser does (WebSocket only).
    #[must_use]
    pub fn from_origin(mut self, origin: &str) -> Door {
        self.origin = Some(origin.to_owned());
        self
    }
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The server answered with this HTTP status.
    Status(u16),
    /// There was no answer that could be understood, for this reason.
    Unreachable(String),
}

/// What came from the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A binary message.
    Bytes(Vec<u8>),
    /// The server closed in order, with this code (WebSocket; 1005 when it gave none).
    Closed(u16),
    /// The connection ended: for lines that is in order, for WebSocket what browsers call 1006.
    Ended,
    /// The answer to a ping.
    Pong,
    /// A text message or line.
    Text(String),
}

pub(super) enum Wire {
    Lines {
        stream: BufReader<Box<dyn Stream>>,
        /// What there is of the next line; kept when a read is given up in between.
        line: Vec<u8>,
    },
    WebSocket(Box<WebSocketStream<Box<dyn Stream>>>),
}

pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Wire {
    pub(super) async fn open(door: &Door) -> Result<Wire, Refusal> {
        let stream = connect(&door.target)
            .await
            .map_err(|error| Refusal::Unreachable(error.to_string()))?;
        match door.speech {
            Speech::Lines => Ok(Wire::Lines {
                stream: BufReader::new(stream),
                line: Vec::new(),
            }),
            Speech::WebSocket => upgrade(stream, door).await,
        }
    }

    /// Sends a text message, or a line.
    pub(super) async fn send_text(&mut self, text: &str) -> io::Result<()> {
        match self {
            Wire::Lines { stream, .. } => {
                stream.write_all(format!("{text}\n").as_bytes()).await?;
                stream.flush().await
            }
            Wire::WebSocket(socket) => socket.send(Message::text(text)).await.map_err(other),
        }
    }

    /// Sends what only WebSocket has.
    pub(super) async fn send_message(&mut self, message: Message) -> io::Result<()> {
        match self {
            Wire::Lines { .. } => Err(ErrorKind::Unsupported.into()),
            Wire::WebSocket(socket) => socket.send(message).await.map_err(other),
        }
    }

    /// Sends no more: a Close of WebSocket, the end of the stream for lines. Answers still come.
    pub(super) async fn send_end(&mut self) -> io::Result<()> {
        match self {
            Wire::Lines { stream, .. } => stream.shutdown().await,
            Wire::WebSocket(socket) => {
                let frame = CloseFrame {
                    code: 1000.into(),
                    reason: "".into(),
                };
                // Not that of `Sink`, which a box may be, too.
                (**socket).close(Some(frame)).await.map_err(other)
            }
        }
    }

    /// Sends bytes as they are, whatever the protocol says.
    pub(super) async fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Wire::Lines { stream, .. } => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
            Wire::WebSocket(socket) => {
                socket.get_mut().write_all(bytes).await?;
                socket.get_mut().flush().await
            }
        }
    }

    /// What comes next. May be given up and asked again.
    pub(super) async fn next(&mut self) -> Heard {
        match self {
            Wire::Lines { stream, line } => next_line(stream, line).await,
            Wire::WebSocket(socket) => next_message(socket).await,
        }
    }
}

async fn connect(target: &Target) -> io::Result<Box<dyn Stream>> {
    match target {
        Target::Tcp(address) => {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream))
        }
        Target::Unix(path) => Ok(Box::new(UnixStream::connect(path).await?)),
    }
}

async fn upgrade(stream: Box<dyn Stream>, door: &Door) -> Result<Wire, Refusal> {
    let host = match &door.target {
        Target::Tcp(address) => address.to_string(),
        Target::Unix(_) => "localhost".to_owned(),
    };
    let unreachable = |error: Error| Refusal::Unreachable(error.to_string());
    let mut request = format!("ws://{host}/")
        .into_client_request()
        .map_err(unreachable)?;
    if let Some(origin) = &door.origin {
        let origin = HeaderValue::from_str(origin);
        let origin = origin.map_err(|error| Refusal::Unreachable(error.to_string()))?;
        request.headers_mut().insert("Origin", origin);
    }
    // The limits are the server's to keep.
    let config = WebSocketConfig::default()
        .max_message_size(None)
        .max_frame_size(None);
    match client_async_with_config(request, stream, Some(config)).await {
        Ok((socket, _)) => Ok(Wire::WebSocket(Box::new(socket))),
        Err(Error::Http(response)) => Err(Refusal::Status(response.status().as_u16())),
        Err(error) => Err(unreachable(error)),
    }
}

async fn next_line(stream: &mut BufReader<Box<dyn Stream>>, line: &mut Vec<u8>) -> Heard {
    match stream.read_until(b'\n', line).await {
        Ok(_) if line.pop_if(|last| *last == b'\n').is_some() => {
            let text = String::from_utf8_lossy(line).into_owned();
            line.clear();
            Heard::Text(text)
        }
        Ok(_) | Err(_) => Heard::Ended,
    }
}

async fn next_message(socket: &mut WebSocketStream<Box<dyn Stream>>) -> Heard {
    let mut closed = None;
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => return Heard::Text(text.as_str().to_owned()),
            Some(Ok(Message::Binary(bytes))) => return Heard::Bytes(bytes.to_vec()),
            Some(Ok(Message::Pong(_))) => return Heard::Pong,
            // What follows is our answer on its way, and the end of the stream.
            Some(Ok(Message::Close(frame))) => {
                closed = Some(frame.map_or(1005, |frame| frame.code.into()));
            }
            Some(Ok(Message::Ping(_) | Message::Frame(_))) => {}
            None | Some(Err(_)) => return closed.map_or(Heard::Ended, Heard::Closed),
        }
    }
}

fn other(error: Error) -> io::Error {
    if let Error::Io(error) = error {
        return error;
    }
    io::Error::other(error)
}
