//! Streams: one JSON object a line.

use std::fmt;
use std::marker::PhantomData;

use bytes::{Buf, BytesMut};
use serde::de::DeserializeOwned;

use crate::connection::Answer;
use crate::error::Error;

/// A line that is longer makes no sense.
const MAX_LINE: usize = 4 << 20;

/// The objects of a stream, as they come. Dropped, it ends the request.
pub struct Lines<T> {
    answer: Answer,
    read: BytesMut,
    /// How much of `read` is known to have no newline.
    searched: usize,
    ended: bool,
    kind: PhantomData<fn() -> T>,
}

impl<T> fmt::Debug for Lines<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").finish_non_exhaustive()
    }
}

impl<T: DeserializeOwned> Lines<T> {
    pub(crate) fn new(answer: Answer) -> Lines<T> {
        Lines {
            answer,
            read: BytesMut::new(),
            searched: 0,
            ended: false,
            kind: PhantomData,
        }
    }

    /// The next one; `None` when the stream has ended in order. After an error there is nothing more.
    /// It can be dropped and called again: nothing is lost.
    pub async fn next(&mut self) -> Option<Result<T, Error>> {
        let next = self.line().await;
        if !matches!(next, Some(Ok(_))) {
            self.ended = true;
        }
        next
    }

    async fn line(&mut self) -> Option<Result<T, Error>> {
        while !self.ended {
            let rest = &self.read[self.searched..];
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line = self.read.split_to(self.searched + end);
                self.read.advance(1);
                self.searched = 0;
                if line.is_empty() {
                    continue;
                }
                let parsed = serde_json::from_slice(&line);
                return Some(parsed.map_err(|error| Error::strange(self.answer.what(), &error)));
            }
            self.searched = self.read.len();
            if self.searched > MAX_LINE {
                let error = Error::strange(self.answer.what(), &"a line of it has no end");
                return Some(Err(error));
            }
            match self.answer.chunk().await {
                Some(Ok(chunk)) => self.read.extend_from_slice(&chunk),
                Some(Err(error)) => return Some(Err(error)),
                None if self.read.is_empty() => return None,
                None => return Some(Err(Error::cut(self.answer.what()))),
            }
        }
        None
    }
}
