//! Reads what an agent asks for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use herder_wire::rpc::{CallError, Decoder, ErrorKind, Executed, Frame, MethodKind, Target};
use tokio::io::{AsyncReadExt as _, Interest};
use tokio::net::unix::OwnedReadHalf;
use tokio::sync::watch;

use super::call::{self, Call};
use super::connection::Connection;
use super::handshake::Ended;
use super::host::Method;
use super::outbox;
use super::stream::{self, Subscription};
use crate::cx::CancelToken;
use crate::{Args, Cx};

/// For so long a connection's calls are executed before the other connections have their turn.
const TURN: Duration = Duration::from_micros(100);

/// How often a connection that is not read is looked at: its caller may be gone.
const GLANCE: Duration = Duration::from_millis(100);

/// A caller that was told to go elsewhere has so long to close the connection itself.
const LINGER: Duration = Duration::from_millis(500);

const CALLED: [MethodKind; 2] = [MethodKind::Call, MethodKind::Notify];
const SUBSCRIBED: [MethodKind; 2] = [MethodKind::Events, MethodKind::State];

/// Whether the library still takes calls.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    Serving,
    Draining,
}

/// Reads one connection.
pub(super) struct Reader {
    pub(super) connection: Arc<Connection>,
    pub(super) socket: OwnedReadHalf,
    pub(super) decoder: Decoder,
    pub(super) phase: watch::Receiver<Phase>,
}

impl Reader {
    /// Reads until the caller goes, or the library drains and has answered everything.
    pub(super) async fn read(mut self) -> Result<(), Ended> {
        let mut is_last = None;
        if *self.phase.borrow_and_update() == Phase::Draining {
            is_last = Some(self.say_goodbye());
        }
        loop {
            self.take_turn().await?;
            tokio::select! {
                biased;
                () = done(&self.connection, is_last), if is_last.is_some() => return Ok(()),
                read = self.socket.read_buf(self.decoder.space()) => {
                    if read? == 0 {
                        return Err(Ended::Closed);
                    }
                }
                changed = self.phase.changed(), if is_last.is_none() => {
                    // Without a sender there is no library any more.
                    changed.map_err(|_gone| Ended::Closed)?;
                    is_last = Some(self.say_goodbye());
                }
            }
        }
    }

    /// Tells the caller to go elsewhere. Until the time that is returned it may close the
    /// connection itself: then no call of it is under way that nobody reads.
    fn say_goodbye(&self) -> Instant {
        self.connection.say_goodbye();
        Instant::now() + LINGER
    }

    fn is_draining(&self) -> bool {
        *self.phase.borrow() == Phase::Draining
    }

    /// Does what the bytes ask for that have come.
    async fn take_turn(&mut self) -> Result<(), Ended> {
        let mut end = None;
        while let Some(frame) = self.decoder.next()? {
            let now = Instant::now();
            if now > *end.get_or_insert(now + TURN) {
                self.connection.outbox.flush();
                tokio::task::yield_now().await;
                end = Some(Instant::now() + TURN);
            }
            if self.connection.outbox.waiting() > outbox::FULL_BYTES {
                self.connection.outbox.flush();
                self.connection.outbox.room().await;
            }
            self.take(frame, now).await?;
        }
        if end.is_some() {
            self.connection.outbox.flush();
        }
        Ok(())
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "`take_short` looks at the others"
    )]
    async fn take(&mut self, frame: Frame, now: Instant) -> Result<(), Ended> {
        let size = frame.encoded_length();
        if let Frame::Call {
            id,
            deadline_ms,
            delivery,
            ..
        } = frame
            && !self.connection.fits(size)
        {
            self.wait_for_room(size).await?;
            if now.elapsed() >= Duration::from_millis(u64::from(deadline_ms)) {
                let late = call::too_late(Executed::No);
                self.connection.answer(id, delivery, Err(late));
                return Ok(());
            }
        }
        match frame {
            Frame::Call { .. } => self.take_call(frame, now),
            Frame::Subscribe { .. } => self.take_subscription(frame, now),
            other => self.take_short(&other, now),
        }
    }

    fn take_call(&self, frame: Frame, now: Instant) -> Result<(), Ended> {
        let size = frame.encoded_length();
        let Frame::Call {
            id,
            target,
            deadline_ms,
            key,
            delivery,
            codec,
            args,
        } = frame
        else {
            return Err(Ended::Garbage);
        };
        let connection = Arc::clone(&self.connection);
        let method = match self.method(target, CALLED) {
            Ok(method) => method,
            Err(error) => {
                connection.answer(id, delivery, Err(error));
                return Ok(());
            }
        };
        let (cx, cancel) = self.context(now, deadline_ms);
        let cx = cx.with_key(Some(key).filter(|key| !key.is_empty()));
        let args = Args::new(codec, args);
        call::arrive(Call {
            connection,
            method,
            id,
            cx,
            cancel,
            args,
            delivery,
            size,
        })
        .map_err(|_not_taken| Ended::Garbage)
    }

    fn take_subscription(&self, frame: Frame, now: Instant) -> Result<(), Ended> {
        let Frame::Subscribe {
            id,
            target,
            deadline_ms,
            credits,
            resume,
            codec,
            args,
        } = frame
        else {
            return Err(Ended::Garbage);
        };
        let connection = Arc::clone(&self.connection);
        let method = match self.method(target, SUBSCRIBED) {
            Ok(method) => method,
            Err(error) => {
                connection.refuse(id, &error);
                return Ok(());
            }
        };
        let (cx, cancel) = self.context(now, deadline_ms);
        let args = Args::new(codec, args);
        let opening = stream::Opening {
            id,
            cancel,
            credits,
            resume,
        };
        stream::arrive(Subscription {
            connection,
            method,
            cx,
            args,
            opening,
        })
        .map_err(|_not_taken| Ended::Garbage)
    }

    /// What has no body.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "all that only a library sends"
    )]
    fn take_short(&self, frame: &Frame, now: Instant) -> Result<(), Ended> {
        match *frame {
            Frame::Cancel { id } => self.connection.cancel(id),
            Frame::Credit { id, items } => self.connection.credit(id, items),
            Frame::SignatureAsk { id } => {
                let document = self.connection.host.document.clone();
                self.connection
                    .outbox
                    .push(&Frame::Signature { id, document })?;
            }
            Frame::Ping { id } => {
                tokio::spawn(answer_ping(Arc::clone(&self.connection), id, now));
            }
            Frame::Pong { .. } => {}
            _ => return Err(Ended::Garbage),
        }
        Ok(())
    }

    /// The method that is called, if it may be.
    fn method(&self, target: Target, kinds: [MethodKind; 2]) -> Result<Arc<Method>, CallError> {
        if self.is_draining() {
            let message = "the library is ending";
            return Err(CallError::new(
                ErrorKind::Unavailable,
                Executed::No,
                message,
            ));
        }
        let method = self.connection.host.method(target)?;
        if kinds.contains(&method.kind) {
            return Ok(Arc::clone(method));
        }
        let message = match method.kind {
            MethodKind::Call | MethodKind::Notify => "it is called, not subscribed to",
            MethodKind::Events | MethodKind::State => "it is subscribed to, not called",
        };
        Err(CallError::new(ErrorKind::NoMethod, Executed::No, message))
    }

    fn context(&self, now: Instant, deadline_ms: u32) -> (Cx, CancelToken) {
        let deadline = now + Duration::from_millis(u64::from(deadline_ms));
        let cancel = CancelToken::default();
        let epoch = self.connection.host.identity.epoch;
        let cx = Cx::new(Arc::clone(&self.connection.caller), deadline, epoch);
        (cx.with_cancel(cancel.clone()), cancel)
    }

    /// Waits until some of the calls that are under way have ended. An agent that keeps to its
    /// limits is never kept waiting here.
    async fn wait_for_room(&self, size: usize) -> Result<(), Ended> {
        self.connection.outbox.flush();
        let fits = self.connection.until(|connection| connection.fits(size));
        tokio::pin!(fits);
        while tokio::time::timeout(GLANCE, &mut fits).await.is_err() {
            // Only a glance: a caller that has sent everything, and waits for answers, says nothing.
            let glance = self.socket.ready(Interest::READABLE);
            if let Ok(ready) = tokio::time::timeout(Duration::ZERO, glance).await
                && ready?.is_read_closed()
            {
                return Err(Ended::Closed);
            }
        }
        Ok(())
    }
}

/// Ends when nothing is under way, but not before `linger`.
async fn done(connection: &Connection, linger: Option<Instant>) {
    if let Some(linger) = linger {
        tokio::time::sleep_until(linger.into()).await;
    }
    connection.until(Connection::is_idle).await;
}

/// Answers as soon as the executor comes to it, and says how late that was.
async fn answer_ping(connection: Arc<Connection>, id: u64, since: Instant) {
    let lag = connection.host.pulse.lag(since.elapsed());
    let lag_us = u32::try_from(lag.as_micros()).unwrap_or(u32::MAX);
    connection
        .push(&Frame::Pong { id, lag_us })
        .expect("it is short");
    connection.outbox.flush();
}
