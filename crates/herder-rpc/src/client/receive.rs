//! What the library sends, frame by frame.

use std::task::Waker;

use herder_wire::rpc::{CallError, Decoder, ErrorKind, Frame};

use super::error::LinkError;
use super::link::{Answer, Link, Phase, State};

impl Link {
    /// Takes over every whole frame that was received. The answer: whom to wake.
    pub(super) fn receive(
        &self,
        decoder: &mut Decoder,
        wakers: &mut Vec<Waker>,
    ) -> Result<(), LinkError> {
        let mut is_leaving = false;
        let mut state = self.lock();
        while let Some(frame) = decoder.next()? {
            if let Frame::GoAway(_) = frame {
                is_leaving = true;
            } else {
                self.take(&mut state, frame, wakers)?;
            }
        }
        drop(state);
        if is_leaving {
            self.leave();
        }
        Ok(())
    }

    fn take(
        &self,
        state: &mut State,
        frame: Frame,
        wakers: &mut Vec<Waker>,
    ) -> Result<(), LinkError> {
        let waker = match frame {
            Frame::Ok { id, codec, value } => state.answer(id, Answer::Ok { codec, value }),
            Frame::Error { id, error } => match state.stream(id) {
                None => state.answer(id, Answer::Error(error)),
                Some(_) => self.stream_failed(state, id, &error),
            },
            Frame::Item {
                id,
                seq,
                kind,
                codec,
                value,
            } => match state.stream(id) {
                None => None,
                Some(stream) => stream
                    .item(seq, kind, (codec, value))
                    .map_err(|_| LinkError::Unexpected("a stream without credit"))?,
            },
            Frame::Opened { id, position } => {
                state.stream(id).and_then(|stream| stream.opened(position))
            }
            Frame::End { id } => state.end_stream(id).and_then(|stream| stream.end(None)),
            Frame::Ping { id } => {
                state.outbox.push(Frame::Pong { id, lag_us: 0 });
                state.is_writing = true;
                self.written.notify_one();
                None
            }
            // Any frame says that the library lives, this one nothing more.
            Frame::Pong { .. } => None,
            Frame::GoAway(_)
            | Frame::Hello(_)
            | Frame::Welcome(_)
            | Frame::Refused(_)
            | Frame::SignatureAsk { .. }
            | Frame::Signature { .. }
            | Frame::Call { .. }
            | Frame::Cancel { .. }
            | Frame::Subscribe { .. }
            | Frame::Credit { .. } => return Err(LinkError::Unexpected("a conversation")),
        };
        wakers.extend(waker);
        Ok(())
    }

    /// A stream that a leaving library ends is opened again on the next connection.
    fn stream_failed(&self, state: &mut State, id: u64, error: &[u8]) -> Option<Waker> {
        let stream = state.end_stream(id)?;
        let error = CallError::from_json(error).in_epoch(self.facts.welcome.epoch);
        let is_leaving = matches!(state.phase, Phase::Leaving);
        if is_leaving && matches!(error.kind, ErrorKind::Unavailable | ErrorKind::Cancelled) {
            stream.detach(self);
            return None;
        }
        let (object, method) = stream.plan.names();
        let error = error.at(object, method);
        stream.end(Some(error))
    }
}
