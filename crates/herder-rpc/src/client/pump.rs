//! The task that reads and writes one connection.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;
use std::time::Duration;

use herder_wire::rpc::{Decoder, Frame};
use tokio::io::AsyncReadExt;
use tokio::net::unix::OwnedReadHalf;
use tokio::time::MissedTickBehavior;

use super::connect::Connected;
use super::error::LinkError;
use super::link::{Link, State};

/// A library that says nothing for this many heartbeats, though it was asked, is not there.
const SILENT_BEATS: u32 = 3;

/// Carries a connection until its end; everything under way fails at that moment.
pub(super) async fn run(connected: Connected) {
    let Connected {
        link,
        mut source,
        mut decoder,
    } = connected;
    let guard = Guard(&link);
    let heard = Heard::default();
    // `biased`: what was received is taken over before the end of the connection is seen.
    let end = tokio::select! {
        biased;
        error = read(&link, &mut source, &mut decoder, &heard) => Some(error),
        end = write(&link) => end.err(),
        error = watch(&link, &heard) => Some(error),
    };
    if let Some(error) = end {
        link.fail(&error.to_string());
    }
    drop(guard);
}

/// Fails the connection when its task is dropped, as a runtime does at its end.
struct Guard<'a>(&'a Arc<Link>);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.fail("the connection was closed");
    }
}

/// Whether anything was received since the last look.
#[derive(Default)]
struct Heard(AtomicBool);

async fn read(
    link: &Arc<Link>,
    source: &mut OwnedReadHalf,
    decoder: &mut Decoder,
    heard: &Heard,
) -> LinkError {
    let mut wakers = Vec::new();
    loop {
        let taken = link.receive(decoder, &mut wakers);
        wakers.drain(..).for_each(Waker::wake);
        if let Err(error) = taken {
            return error;
        }
        match source.read_buf(decoder.space()).await {
            Ok(0) => return LinkError::Closed,
            Ok(_) => heard.0.store(true, Ordering::Relaxed),
            Err(error) => return error.into(),
        }
    }
}

/// Writes until the connection has nothing to do any more.
async fn write(link: &Arc<Link>) -> Result<(), LinkError> {
    loop {
        let step = step(link, &mut link.lock());
        match step? {
            Step::Again => {}
            Step::Blocked => link.sink.writable().await?,
            Step::Done => return Ok(()),
            Step::Idle => link.written.notified().await,
        }
    }
}

enum Step {
    Again,
    Blocked,
    Done,
    Idle,
}

fn step(link: &Link, state: &mut State) -> Result<Step, LinkError> {
    if state.batch.is_empty() {
        link.refill(state);
    }
    if state.batch.is_empty() {
        state.is_writing = false;
        return Ok(if state.is_done() {
            Step::Done
        } else {
            Step::Idle
        });
    }
    match link.sink.try_write(state.batch.next()) {
        Ok(count) => {
            state.outbox.wrote(count);
            state.batch.advance(count);
            Ok(Step::Again)
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Step::Blocked),
        Err(error) => Err(error.into()),
    }
}

/// Asks a quiet library whether it is there.
async fn watch(link: &Arc<Link>, heard: &Heard) -> LinkError {
    let beat = Duration::from_millis(u64::from(link.facts.welcome.heartbeat_ms));
    if beat.is_zero() {
        return std::future::pending().await;
    }
    let mut beats = tokio::time::interval_at(tokio::time::Instant::now() + beat, beat);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut silent = 0;
    loop {
        beats.tick().await;
        if heard.0.swap(false, Ordering::Relaxed) {
            silent = 0;
            continue;
        }
        if silent == SILENT_BEATS {
            return LinkError::Silent(beat * (SILENT_BEATS + 1));
        }
        silent += 1;
        link.push(Frame::Ping {
            id: u64::from(silent),
        });
    }
}
