//! A caller that speaks in frames.

use std::io;
use std::path::Path;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use herder_wire::rpc::{Codec, Decoder, Delivery, Frame, Hello, MAX_FRAME, Part, Position, Target};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

/// How long [`RawCaller::receive`] waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long its calls may take unless they say otherwise, in milliseconds.
const DEADLINE_MS: u32 = 5000;

/// A caller that says exactly what it is told to say.
#[derive(Debug)]
pub struct RawCaller {
    socket: UnixStream,
    decoder: Decoder,
}

impl RawCaller {
    /// Connects, and says nothing yet.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    pub async fn connect(path: &Path) -> io::Result<Self> {
        let socket = UnixStream::connect(path).await?;
        Ok(Self {
            socket,
            decoder: Decoder::new(MAX_FRAME),
        })
    }

    /// Says that it is a worker of `herd`.
    ///
    /// # Errors
    ///
    /// Those of the socket, and one when the library refuses it.
    pub async fn greet(&mut self, herd: &str) -> io::Result<()> {
        self.send(&Frame::Hello(hello(herd, Part::Worker).to_json()))
            .await?;
        let frame = self.receive().await?;
        if matches!(frame, Frame::Welcome(_)) {
            return Ok(());
        }
        Err(io::Error::other(format!("not welcome: {frame:?}")))
    }

    /// Sends a frame.
    ///
    /// # Errors
    ///
    /// Those of the socket and of the encoder.
    pub async fn send(&mut self, frame: &Frame) -> io::Result<()> {
        let mut out = BytesMut::new();
        frame
            .encode(MAX_FRAME, &mut out)
            .map_err(io::Error::other)?;
        self.socket.write_all(&out).await
    }

    /// Sends any bytes.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes).await
    }

    /// Calls a method of the first object with JSON.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    pub async fn call(&mut self, id: u64, method: u16, args: &str) -> io::Result<()> {
        self.send(&call(id, method, DEADLINE_MS, args)).await
    }

    /// Subscribes to a method of the first object with JSON.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    pub async fn subscribe(
        &mut self,
        id: u64,
        method: u16,
        credits: u32,
        resume: Position,
    ) -> io::Result<()> {
        let target = Target { object: 0, method };
        let (deadline_ms, codec) = (DEADLINE_MS, Codec::Json);
        let args = Bytes::from_static(b"[]");
        self.send(&Frame::Subscribe {
            id,
            target,
            deadline_ms,
            credits,
            resume,
            codec,
            args,
        })
        .await
    }

    /// The next frame.
    ///
    /// # Errors
    ///
    /// Those of the socket and the decoder, [`io::ErrorKind::UnexpectedEof`] when the library
    /// closed the connection, [`io::ErrorKind::TimedOut`] when nothing comes for 10 seconds.
    pub async fn receive(&mut self) -> io::Result<Frame> {
        loop {
            if let Some(frame) = self.decoder.next().map_err(io::Error::other)? {
                return Ok(frame);
            }
            let read = self.socket.read_buf(self.decoder.space());
            let read = tokio::time::timeout(PATIENCE, read);
            if read
                .await
                .map_err(|_elapsed| io::Error::from(io::ErrorKind::TimedOut))??
                == 0
            {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// The connection itself, for what is not sent in frames.
    #[must_use]
    pub fn into_socket(self) -> UnixStream {
        self.socket
    }
}

/// A call of a method of the first object with JSON.
#[must_use]
pub fn call(id: u64, method: u16, deadline_ms: u32, args: &str) -> Frame {
    Frame::Call {
        id,
        target: Target { object: 0, method },
        deadline_ms,
        key: Bytes::new(),
        delivery: Delivery::Answered,
        codec: Codec::Json,
        args: Bytes::copy_from_slice(args.as_bytes()),
    }
}

/// What a caller of this process says first.
#[must_use]
pub fn hello(herd: &str, part: Part) -> Hello {
    Hello {
        versions: [1, 1],
        language: "rust".to_owned(),
        app: "test".to_owned(),
        herd: herd.to_owned(),
        part,
        slot: 1,
        worker: 7,
        pid: std::process::id(),
        codecs: vec!["json".to_owned()],
        hash: String::new(),
    }
}
