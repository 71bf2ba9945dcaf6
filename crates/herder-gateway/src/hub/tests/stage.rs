//! A hub between a master, workers and clients that do what a test says.

use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use herder_core::Incarnation;
use herder_sys::socket::{self, Wait};
use herder_sys::{fd, memory};
use herder_wire::control::ToMaster;
use herder_wire::gateway::{GatewayConfig, Protocol, Reports};
use herder_wire::link::{Body, FromGateway, FromWorker, Kind, MAX_FRAME, MAX_INLINE, VERSION};
use herder_wire::{control, link};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Builder;
use tokio::task::{LocalSet, spawn_local, yield_now};
use tokio::time::timeout;

use crate::control::Channel;
use crate::hub::shell::{LinkEnds, Settings, Shell};
use crate::hub::{CloseReason, Message, Outgoing, Seat};
use crate::reactor;

/// Whatever does not happen within this, does not happen.
const DEADLINE: Duration = Duration::from_secs(20);

/// Plays a test.
pub(super) fn play<T>(config: GatewayConfig, test: impl AsyncFnOnce(Stage) -> T) -> T {
    config.check().unwrap();
    play_with(Settings::new(&config, 1), test)
}

/// Plays a test in which there is less room than usual.
pub(super) fn play_with<T>(settings: Settings, test: impl AsyncFnOnce(Stage) -> T) -> T {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let stage = Stage::new(settings);
        soon(test(stage)).await
    })
}

/// A configuration in which nothing happens by the clock, and everything is reported.
pub(super) fn patient() -> GatewayConfig {
    GatewayConfig {
        reports: Reports::EachJob,
        starting_wait_millis: 3_600_000,
        steal_after_millis: 3_600_000,
        pending_timeout_millis: 3_600_000,
        ..GatewayConfig::default()
    }
}

/// Everything that can happen without news from outside has happened.
pub(super) async fn calm() {
    for _ in 0..100 {
        yield_now().await;
    }
}

/// What has to happen.
pub(super) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future).await.expect("it never happened")
}

pub(super) struct Stage {
    pub(super) shell: Rc<Shell>,
    pub(super) master: Master,
    /// The gateway's end of the control channel.
    pub(super) channel: Rc<Channel>,
}

impl Stage {
    fn new(settings: Settings) -> Stage {
        let (ours, theirs) = socket::seqpacket_pair().unwrap();
        let shell = Shell::new(settings);
        let channel = Rc::new(Channel::new(theirs).unwrap());
        spawn_local(Rc::clone(&shell).turn(Rc::clone(&channel)));
        let master = Master {
            socket: reactor::watch(ours).unwrap(),
            decoder: control::Decoder::new(),
        };
        Stage {
            shell,
            master,
            channel,
        }
    }

    /// A worker that boots.
    pub(super) fn expect(&self, worker: u64) {
        let slot = u16::try_from(worker - 1).unwrap();
        let pid = u32::try_from(1000 + worker).unwrap();
        self.shell.expect(Incarnation(worker), slot, pid);
    }

    /// Its way to the hub. It has not said hello.
    pub(super) fn tie(&self, worker: u64) -> Worker {
        let (ours, theirs) = socket::seqpacket_pair().unwrap();
        let duplicate = fd::duplicate(theirs.as_fd()).unwrap();
        let ends = LinkEnds {
            ours,
            theirs: duplicate,
        };
        self.shell.tie(Incarnation(worker), ends);
        Worker {
            id: worker,
            socket: reactor::watch(theirs).unwrap(),
        }
    }

    /// A worker that is ready.
    pub(super) fn worker(&self, worker: u64) -> Worker {
        self.expect(worker);
        let tied = self.tie(worker);
        tied.hello(0);
        self.shell.admit(Incarnation(worker));
        tied
    }

    /// As [`Stage::worker`], and has said hello.
    pub(super) async fn greeted(&self, worker: u64) -> Worker {
        let tied = self.worker(worker);
        tied.is_greeted().await;
        tied
    }

    pub(super) fn gone(&self, worker: Worker) {
        let id = Incarnation(worker.id);
        drop(worker);
        self.shell.gone(id);
    }

    pub(super) fn client(&self) -> Seat {
        self.shell
            .hub()
            .join(Protocol::WebSocket)
            .expect("there is room")
    }
}

/// The master's end of the control channel.
pub(super) struct Master {
    socket: AsyncFd<OwnedFd>,
    decoder: control::Decoder<ToMaster>,
}

impl Master {
    /// The next news that is neither a beat nor a count.
    pub(super) async fn hears(&mut self) -> ToMaster {
        loop {
            let news = self.hears_anything().await;
            if !matches!(news, ToMaster::Beat | ToMaster::Counters { .. }) {
                return news;
            }
        }
    }

    pub(super) async fn hears_anything(&mut self) -> ToMaster {
        loop {
            if let Some(news) = self.decoder.next().unwrap() {
                return news;
            }
            let mut packet = vec![0; MAX_FRAME];
            let receive = |socket: &OwnedFd| {
                let mut none = Vec::new();
                socket::receive(socket.as_fd(), &mut packet, &mut none, 0, Wait::DontWait)
            };
            let received = soon(self.socket.async_io(Interest::READABLE, receive)).await;
            let len = received.unwrap().len;
            assert!(len > 0, "the gateway ended");
            self.decoder.push(&packet[..len]);
        }
    }

    pub(super) async fn hears_of(&mut self, job: u64, worker: u64) {
        assert_eq!(self.hears().await, ToMaster::Dispatched { job, worker });
    }
}

/// The worker's end of a link.
pub(super) struct Worker {
    pub(super) id: u64,
    socket: AsyncFd<OwnedFd>,
}

/// A job, as a worker gets it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) id: u64,
    pub(super) client: u64,
    pub(super) kind: Kind,
    pub(super) bytes: Vec<u8>,
}

impl Worker {
    pub(super) fn hello(&self, started: u32) {
        self.say(&FromWorker::Hello {
            version: VERSION,
            started,
        });
    }

    /// The gateway has greeted; to be asked for before the first job.
    pub(super) async fn is_greeted(&self) {
        let version = VERSION;
        assert_eq!(
            self.hears().await.map(|(frame, _)| frame),
            Some(FromGateway::Hello { version })
        );
    }

    pub(super) fn say(&self, frame: &FromWorker) {
        self.say_all(std::slice::from_ref(frame));
    }

    /// Several frames in one packet.
    pub(super) fn say_all(&self, frames: &[FromWorker]) {
        let mut packet = Vec::new();
        for frame in frames {
            frame.encode(&mut packet).unwrap();
        }
        self.say_raw(&packet, None);
    }

    pub(super) fn say_raw(&self, packet: &[u8], descriptor: Option<&OwnedFd>) {
        let fds = descriptor.map(AsFd::as_fd);
        socket::send(self.socket.as_fd(), packet, fds.as_slice()).unwrap();
    }

    pub(super) fn start(&self, job: u64) {
        self.say(&FromWorker::Started { job });
    }

    pub(super) fn finish(&self, job: u64) {
        self.say(&FromWorker::Finished { job });
    }

    pub(super) fn reply(&self, job: u64, text: &str) {
        self.reply_with(job, Kind::Text, text.as_bytes());
    }

    /// Replies if there is room.
    pub(super) fn try_reply(&self, job: u64, text: &str) -> io::Result<()> {
        let (kind, body) = (Kind::Text, Body::Inline(text.as_bytes().to_vec()));
        let mut packet = Vec::new();
        let reply = FromWorker::Reply { job, kind, body };
        reply.encode(&mut packet).unwrap();
        socket::send(self.socket.as_fd(), &packet, &[]).map(drop)
    }

    pub(super) fn reply_with(&self, job: u64, kind: Kind, bytes: &[u8]) {
        let mut packet = Vec::new();
        if bytes.len() <= MAX_INLINE {
            let body = Body::Inline(bytes.to_vec());
            let reply = FromWorker::Reply { job, kind, body };
            return self.say(&reply);
        }
        let length = u32::try_from(bytes.len()).unwrap();
        let body = Body::Memory { length };
        let reply = FromWorker::Reply { job, kind, body };
        reply.encode(&mut packet).unwrap();
        self.say_raw(&packet, Some(&memory::sealed(bytes).unwrap()));
    }

    /// Does a job as a whole, in one packet.
    pub(super) fn does(&self, job: u64, reply: &str) {
        let (kind, body) = (Kind::Text, Body::Inline(reply.as_bytes().to_vec()));
        self.say_all(&[
            FromWorker::Started { job },
            FromWorker::Reply { job, kind, body },
            FromWorker::Finished { job },
        ]);
    }

    /// The next frame, with its descriptor; `None` = the link is at its end.
    pub(super) async fn hears(&self) -> Option<(FromGateway, Option<OwnedFd>)> {
        let receive = |_: &OwnedFd| self.receive();
        soon(self.socket.async_io(Interest::READABLE, receive))
            .await
            .unwrap()
    }

    /// From now on whatever is sent to it fails.
    pub(super) fn stops_receiving(&self) {
        let end = fd::duplicate(self.socket.as_fd()).unwrap();
        UnixStream::from(end).shutdown(Shutdown::Read).unwrap();
    }

    /// How much lies un-received, in bytes.
    pub(super) fn unread(&self) -> usize {
        socket::unread_bytes(self.socket.as_fd()).unwrap()
    }

    /// The next frame, if one is there.
    pub(super) fn has(&self) -> Option<FromGateway> {
        match self.receive() {
            Ok(heard) => heard.map(|(frame, _)| frame),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        }
    }

    fn receive(&self) -> io::Result<Option<(FromGateway, Option<OwnedFd>)>> {
        let (mut packet, mut fds) = (vec![0; MAX_FRAME], Vec::new());
        let fd = self.socket.as_fd();
        let received = match socket::receive(fd, &mut packet, &mut fds, 1, Wait::DontWait) {
            // The gateway dropped the link with words of ours unread.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
            received => received?,
        };
        if received.len == 0 {
            return Ok(None);
        }
        let mut decoder = link::Decoder::<FromGateway>::new();
        decoder.push(&packet[..received.len]);
        let frame = decoder.next().unwrap().expect("one whole frame a packet");
        assert!(decoder.is_empty(), "and nothing more");
        Ok(Some((frame, fds.pop())))
    }

    /// The next frame, which must be a job.
    pub(super) async fn job(&self) -> Job {
        let (frame, memory) = self.hears().await.expect("the link lasts");
        let FromGateway::Job {
            job,
            client,
            kind,
            body,
            ..
        } = frame
        else {
            panic!("worker {} got {frame:?} in place of a job", self.id);
        };
        let bytes = match (body, memory) {
            (Body::Inline(bytes), None) => bytes,
            (Body::Memory { length }, Some(memory)) => {
                memory::read_sealed(memory.as_fd(), length as usize).unwrap()
            }
            other => panic!("{other:?}"),
        };
        Job {
            id: job,
            client,
            kind,
            bytes,
        }
    }

    /// Gets the job with this number, and starts it.
    pub(super) async fn starts(&self, job: u64) {
        assert_eq!(self.job().await.id, job);
        self.start(job);
    }
}

pub(super) fn text(text: impl Into<String>) -> Message {
    Message {
        kind: Kind::Text,
        bytes: Bytes::from(text.into()),
    }
}

/// What a client does in tests.
pub(super) trait Client {
    fn says(&self, words: &str);
    async fn hears(&self) -> String;
    async fn is_sent_away(&self);
}

impl Client for Seat {
    fn says(&self, words: &str) {
        self.submit(text(words));
    }

    async fn hears(&self) -> String {
        match soon(self.next()).await {
            Outgoing::Message(message) => String::from_utf8(message.bytes.to_vec()).unwrap(),
            Outgoing::Close(reason) => panic!("closed: {reason:?}"),
        }
    }

    async fn is_sent_away(&self) {
        assert_eq!(
            soon(self.next()).await,
            Outgoing::Close(CloseReason::GoingAway)
        );
    }
}
