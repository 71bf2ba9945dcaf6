//! A library that says what the test tells it to.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use herder_rpc::client::{Agent, AgentSettings, Endpoint, Identity};
use herder_wire::rpc::{
    Argument, Codec, Decoder, Frame, Hello, ItemKind, Limits, MAX_FRAME, MethodKind,
    MethodSignature, ObjectSignature, Position, Signature, Welcome,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

/// Longer than anything here takes; a test that waits so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Fake {
    pub(crate) directory: PathBuf,
    listener: UnixListener,
    pub(crate) epoch: u64,
    pub(crate) signature: Signature,
    pub(crate) limits: Limits,
    pub(crate) heartbeat_ms: u32,
}

impl Fake {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("herder-rpc-client-{}-{count}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir(&directory).unwrap();
        let listener = UnixListener::bind(directory.join("core.sock")).unwrap();
        Self {
            directory,
            listener,
            epoch: 1,
            signature: signature(&[]),
            limits: Limits::default(),
            heartbeat_ms: 0,
        }
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint {
            library: "core".to_owned(),
            path: self.directory.join("core.sock"),
            herd: "00ff".to_owned(),
            identity: Identity::tool(),
        }
    }

    pub(crate) fn agent(&self) -> Agent {
        Agent::connect(self.endpoint())
    }

    pub(crate) fn agent_with(&self, settings: AgentSettings) -> Agent {
        Agent::with_settings(self.endpoint(), settings)
    }

    /// A connection before its greeting.
    pub(crate) async fn accept(&self) -> Peer {
        let accepted = tokio::time::timeout(PATIENCE, self.listener.accept());
        let (socket, _) = accepted.await.expect("an agent connects").unwrap();
        Peer {
            socket,
            decoder: Decoder::new(MAX_FRAME),
        }
    }

    /// A connection that was greeted; whether the agent asked for the signature.
    pub(crate) async fn greet(&self) -> (Peer, Hello) {
        let mut peer = self.accept().await;
        let Some(Frame::Hello(body)) = peer.next().await else {
            panic!("a hello comes first")
        };
        let hello = Hello::from_json(&body).unwrap();
        peer.send(Frame::Welcome(self.welcome().to_json())).await;
        if hello.hash != self.signature.hash {
            let Some(Frame::SignatureAsk { id }) = peer.next().await else {
                panic!("the signature is asked for")
            };
            let document = self.signature.to_json();
            peer.send(Frame::Signature { id, document }).await;
        }
        (peer, hello)
    }

    pub(crate) async fn serve(&self) -> Peer {
        self.greet().await.0
    }

    fn welcome(&self) -> Welcome {
        Welcome {
            version: 1,
            library: "core".to_owned(),
            epoch: self.epoch,
            hash: self.signature.hash.clone(),
            codecs: ["json", "postcard"].map(str::to_owned).into(),
            limits: self.limits,
            heartbeat_ms: self.heartbeat_ms,
        }
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.directory).unwrap();
    }
}

pub(crate) struct Peer {
    pub(crate) socket: UnixStream,
    decoder: Decoder,
}

impl Peer {
    /// The next frame; nothing at the end of the connection.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        let next = tokio::time::timeout(PATIENCE, self.frame());
        next.await.expect("a frame or the end comes")
    }

    async fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.decoder.next().unwrap() {
                return Some(frame);
            }
            match self.socket.read_buf(self.decoder.space()).await {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Whether the end cut a frame.
    pub(crate) fn has_rest(&self) -> bool {
        !self.decoder.is_empty()
    }

    pub(crate) async fn send(&mut self, frame: Frame) {
        let mut bytes = BytesMut::new();
        frame.encode(MAX_FRAME, &mut bytes).unwrap();
        self.socket.write_all(&bytes).await.unwrap();
    }

    /// The next call: its id and its arguments.
    pub(crate) async fn call(&mut self) -> (u64, Value) {
        match self.next().await {
            Some(Frame::Call { id, args, .. }) => (id, serde_json::from_slice(&args).unwrap()),
            other => panic!("a call, not {other:?}"),
        }
    }

    pub(crate) async fn ok(&mut self, id: u64, value: &Value) {
        let value = Bytes::from(serde_json::to_vec(value).unwrap());
        self.send(Frame::Ok {
            id,
            codec: Codec::Json,
            value,
        })
        .await;
    }

    /// The next subscription: its id and where it goes on.
    pub(crate) async fn subscription(&mut self) -> (u64, Position, u32) {
        match self.next().await {
            Some(Frame::Subscribe {
                id,
                resume,
                credits,
                ..
            }) => (id, resume, credits),
            other => panic!("a subscription, not {other:?}"),
        }
    }

    pub(crate) async fn opened(&mut self, id: u64, epoch: u64, seq: u64) {
        self.send(Frame::Opened {
            id,
            position: Position { epoch, seq },
        })
        .await;
    }

    pub(crate) async fn item(&mut self, id: u64, seq: u64, kind: ItemKind, value: &Value) {
        let value = match kind {
            ItemKind::SnapshotEnd => Bytes::new(),
            _ => Bytes::from(serde_json::to_vec(value).unwrap()),
        };
        self.send(Frame::Item {
            id,
            seq,
            kind,
            codec: Codec::Json,
            value,
        })
        .await;
    }
}

pub(crate) fn method(kind: MethodKind, args: &[&str]) -> MethodSignature {
    let argument = |name: &&str| Argument {
        name: (*name).to_owned(),
        schema: json!(true),
    };
    MethodSignature {
        kind,
        args: args.iter().map(argument).collect(),
        ..Default::default()
    }
}

/// Object `kv` with `get(key)`, idempotent, `put(key, value)`, `slow()` with a deadline of 80 ms,
/// `touch(key)`, `watch(prefix)`, `feed()`, and these.
pub(crate) fn signature(more: &[(&str, MethodSignature)]) -> Signature {
    let get = MethodSignature {
        idempotent: true,
        ..method(MethodKind::Call, &["key"])
    };
    let slow = MethodSignature {
        deadline_ms: Some(80),
        ..method(MethodKind::Call, &[])
    };
    let methods = [
        ("get", get),
        ("put", method(MethodKind::Call, &["key", "value"])),
        ("slow", slow),
        ("touch", method(MethodKind::Notify, &["key"])),
        ("watch", method(MethodKind::State, &["prefix"])),
        ("feed", method(MethodKind::Events, &[])),
    ];
    let methods = methods.into_iter().chain(more.iter().cloned());
    let object = ObjectSignature::new("", methods.map(|(name, method)| (name.to_owned(), method)));
    Signature::new("core", [("kv".to_owned(), object)])
}

/// Waits until `met` says yes.
pub(crate) async fn until(what: &str, mut met: impl FnMut() -> bool) {
    let wait = async {
        while !met() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .unwrap_or_else(|_| panic!("{what}"));
}
