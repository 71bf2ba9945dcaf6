//! What bytes lie in on their way: one buffer that all connections share, since it is empty between
//! two turns, and pipes for what moves within the kernel.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use herder_sys::pipe::{enlarge, pipe};

/// The buffer and the pipes of a front. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Tools {
    shared: Rc<Shared>,
}

#[derive(Debug)]
struct Shared {
    buffer: RefCell<Box<[u8]>>,
    pipes: RefCell<Vec<Pipe>>,
}

/// An empty pipe, or one that holds what could not be written yet.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) reader: OwnedFd,
    pub(super) writer: OwnedFd,
    /// How many bytes lie in it.
    pub(super) held: usize,
}

impl Default for Tools {
    fn default() -> Tools {
        Tools {
            shared: Rc::new(Shared {
                buffer: RefCell::new(vec![0; BUFFER].into_boxed_slice()),
                pipes: RefCell::default(),
            }),
        }
    }
}

impl Tools {
    /// Lends the buffer for one step.
    pub(super) fn with_buffer<T>(&self, step: impl FnOnce(&mut [u8]) -> T) -> T {
        step(&mut self.shared.buffer.borrow_mut())
    }

    /// An empty pipe.
    pub(super) fn pipe(&self) -> io::Result<Pipe> {
        if let Some(pipe) = self.shared.pipes.borrow_mut().pop() {
            return Ok(pipe);
        }
        let (reader, writer) = pipe()?;
        // A user may have so many pipes that another one is small. It serves too.
        let _small = enlarge(writer.as_fd(), PIPE);
        Ok(Pipe {
            reader,
            writer,
            held: 0,
        })
    }

    /// Takes a pipe back. One that is not empty is closed: what lies in it was somebody's.
    pub(super) fn give_back(&self, pipe: Pipe) {
        let mut pipes = self.shared.pipes.borrow_mut();
        if pipe.held == 0 && pipes.len() < SPARE {
            pipes.push(pipe);
        }
    }
}

/// Size of the buffer in bytes.
pub(super) const BUFFER: usize = 64 * 1024;

/// Size of a pipe in bytes. Each packet takes a page of it, however short it is.
pub(super) const PIPE: usize = 256 * 1024;

/// How many pipes are kept for the next who needs one.
const SPARE: usize = 16;
