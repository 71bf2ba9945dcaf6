//! A connection from its socket to its welcome.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use herder_wire::rpc::{CallError, Decoder, Frame, Hello, MAX_FRAME, Signature, VERSION, Welcome};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::endpoint::Endpoint;
use super::error::LinkError;
use super::link::{Facts, Link};

/// The shortest frame limit that a library may ask for: less has no room for an error.
const LEAST_FRAME: u32 = 128 * 1024;

/// A connection that was welcomed, and what was received beyond the welcome.
pub(super) struct Connected {
    pub(super) link: Arc<Link>,
    pub(super) source: OwnedReadHalf,
    pub(super) decoder: Decoder,
}

/// Connects and introduces this process; `known` is the signature of an earlier connection.
pub(super) async fn connect(
    endpoint: &Endpoint,
    known: Option<Arc<Signature>>,
    patience: Duration,
) -> Result<Connected, LinkError> {
    let socket = UnixStream::connect(&endpoint.path).await?;
    let (source, sink) = socket.into_split();
    let mut greeting = Greeting {
        source,
        sink,
        decoder: Decoder::new(MAX_FRAME),
    };
    let facts = tokio::time::timeout(patience, greeting.exchange(endpoint, known));
    let facts = facts.await.map_err(|_| LinkError::Unwelcome(patience))??;
    let Greeting {
        source,
        sink,
        mut decoder,
    } = greeting;
    // What is longer than any frame, or too short for an error, is no limit.
    let limit = facts.welcome.limits.frame.max(LEAST_FRAME);
    decoder.set_limit(usize::try_from(limit).map_or(MAX_FRAME, |limit| limit.min(MAX_FRAME)));
    let link = Arc::new(Link::new(sink, facts, Instant::now()));
    Ok(Connected {
        link,
        source,
        decoder,
    })
}

struct Greeting {
    source: OwnedReadHalf,
    sink: OwnedWriteHalf,
    decoder: Decoder,
}

impl Greeting {
    async fn exchange(
        &mut self,
        endpoint: &Endpoint,
        known: Option<Arc<Signature>>,
    ) -> Result<Facts, LinkError> {
        let hash = known
            .as_ref()
            .map(|known| known.hash.clone())
            .unwrap_or_default();
        self.send(Frame::Hello(hello(endpoint, hash).to_json()))
            .await?;
        let answer = self.next().await?;
        if let Frame::Refused(body) = answer {
            return Err(LinkError::Refused(CallError::from_json(&body)));
        }
        let Frame::Welcome(body) = answer else {
            return Err(LinkError::Unexpected("a greeting"));
        };
        let welcome = Welcome::from_json(&body)?;
        if welcome.version != VERSION {
            return Err(LinkError::Version(welcome.version));
        }
        if let Some(signature) = known.filter(|known| known.hash == welcome.hash) {
            return Ok(Facts { welcome, signature });
        }
        self.send(Frame::SignatureAsk { id: 0 }).await?;
        let mut answer = self.next().await?;
        while let Frame::Ping { id } = answer {
            self.send(Frame::Pong { id, lag_us: 0 }).await?;
            answer = self.next().await?;
        }
        let Frame::Signature { id: 0, document } = answer else {
            return Err(LinkError::Unexpected("a greeting"));
        };
        let signature = Arc::new(Signature::from_json(&document)?);
        Ok(Facts { welcome, signature })
    }

    async fn send(&mut self, frame: Frame) -> Result<(), LinkError> {
        let mut bytes = BytesMut::new();
        frame.encode(MAX_FRAME, &mut bytes)?;
        Ok(self.sink.write_all(&bytes).await?)
    }

    async fn next(&mut self) -> Result<Frame, LinkError> {
        loop {
            if let Some(frame) = self.decoder.next()? {
                return Ok(frame);
            }
            if self.source.read_buf(self.decoder.space()).await? == 0 {
                return Err(LinkError::Closed);
            }
        }
    }
}

fn hello(endpoint: &Endpoint, hash: String) -> Hello {
    let who = &endpoint.identity;
    Hello {
        versions: [VERSION, VERSION],
        language: "rust".to_owned(),
        app: who.app.clone(),
        herd: endpoint.herd.clone(),
        part: who.part.clone(),
        slot: who.slot,
        worker: who.worker,
        pid: who.pid,
        codecs: ["json", "postcard"].map(str::to_owned).into(),
        hash,
    }
}
