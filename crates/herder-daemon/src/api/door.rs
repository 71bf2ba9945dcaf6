//! The listener, and who is let in.

use std::fs;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, lchown};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use herder_api::Problem;
use herder_api::problem::ProblemKind;
use herder_sys::listener::{Address, ListenOptions, Listener};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::answer::turned_away;
use super::guest::{Rights, rights};
use super::service::{Guest, House};
use crate::Desk;

/// How many connections there may be at a time.
const GUESTS: usize = 16;

/// How many of them may be of the read group: it cannot keep the owner out.
const LOOKERS: usize = 8;

/// How long a request may take to be whole.
const REQUEST: Duration = Duration::from_secs(5);

/// How long the line and the headers of a request may be together, in bytes. (Targets stand there.)
const HEAD: usize = 64 << 10;

/// How long streams may go on when the books are closed, to tell how it ended.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How long nobody is let in when no descriptor is left.
const PAUSE: Duration = Duration::from_millis(100);

/// The listener, bound and not yet served.
#[derive(Debug)]
pub struct Door {
    listener: UnixListener,
    /// For its path: which file is ours.
    bound: Listener,
    read_group: Option<u32>,
}

impl Door {
    /// Binds `socket`, born 0600. What is there is replaced if it is a socket of ours (the caller holds
    /// the home's lock, so that nobody serves it). With a `read_group` the file is this group's too, and
    /// 0660 in the end, and its members may pass through the directory (0710), but not look into it.
    ///
    /// # Errors
    /// What `bind` answers; something else than a socket of ours is at the path; the group is not one
    /// that the file can be given to.
    pub fn open(socket: &Path, read_group: Option<u32>) -> io::Result<Door> {
        let options = ListenOptions {
            unix_mode: 0o600,
            ..ListenOptions::default()
        };
        let bound = Listener::bind(Address::Unix(socket), &options).map_err(io::Error::other)?;
        if let Some(group) = read_group {
            share(socket, 0o660, group)?;
            let directory = socket.parent().unwrap_or(Path::new("/"));
            share(directory, 0o710, group)?;
        }
        let listener = std::os::unix::net::UnixListener::from(bound.as_fd().try_clone_to_owned()?);
        listener.set_nonblocking(true)?;
        Ok(Door {
            listener: UnixListener::from_std(listener)?,
            bound,
            read_group,
        })
    }

    /// Serves until the books are closed: the other end of the desk is dropped. Then nobody is let in any
    /// more, the socket is removed, and streams of [`Progress`](herder_api::control::Progress) are told
    /// to their end, for at most 2 s. Dropped, it ends everything at once.
    pub async fn serve(self, desk: Desk) {
        let (house, keeper) = House::new(desk.clone());
        let house = Arc::new(house);
        let mut guests = Guests::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => guests.admit(stream, self.read_group, &house),
                    Err(_no_descriptor) => sleep(PAUSE).await,
                },
                Some(_) = guests.inside.join_next() => {}
                () = desk.closed() => break,
            }
        }
        // What cannot be removed, the next daemon replaces.
        drop(self.bound.unlink());
        drop(self);
        house.close();
        drop(timeout(LAST_WORDS, guests.leave()).await);
        keeper.abort();
    }
}

/// Lets a group have what it may have of a file in our own directory, or of that.
fn share(path: &Path, mode: u32, group: u32) -> io::Result<()> {
    lchown(path, None, Some(group))?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

/// Who is inside.
struct Guests {
    inside: JoinSet<()>,
    places: Arc<Semaphore>,
    lookers: Arc<Semaphore>,
}

impl Guests {
    fn new() -> Guests {
        Guests {
            inside: JoinSet::new(),
            places: Arc::new(Semaphore::new(GUESTS)),
            lookers: Arc::new(Semaphore::new(LOOKERS)),
        }
    }

    /// Lets somebody in, or says why not, before anything was read.
    fn admit(&mut self, stream: UnixStream, read_group: Option<u32>, house: &Arc<House>) {
        let rights = match rights(stream.as_fd(), read_group) {
            Ok(Some(rights)) => rights,
            Ok(None) => return turn_away(stream, forbidden()),
            Err(_gone) => return,
        };
        let looker = match rights {
            Rights::All => None,
            Rights::Look => Some(Arc::clone(&self.lookers).try_acquire_owned()),
        };
        let place = Arc::clone(&self.places).try_acquire_owned();
        let (Ok(place), Ok(looker)) = (place, looker.transpose()) else {
            return turn_away(stream, crowded());
        };
        let guest = Guest {
            rights,
            until: Instant::now() + REQUEST,
        };
        let house = Arc::clone(house);
        self.inside.spawn(async move {
            attend(stream, guest, house).await;
            drop((place, looker));
        });
    }

    async fn leave(&mut self) {
        while self.inside.join_next().await.is_some() {}
    }
}

/// One connection: one request and its answer.
async fn attend(stream: UnixStream, guest: Guest, house: Arc<House>) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST)
        .max_buf_size(HEAD)
        .keep_alive(false)
        .serve_connection(
            TokioIo::new(stream),
            service_fn(|request| house.answer(guest, request)),
        );
    // That a client went away, or speaks no HTTP, is nobody's business.
    drop(connection.await);
}

/// Says why not, as far as that can be said without waiting.
fn turn_away(stream: UnixStream, problem: Problem) {
    if let Ok(mut stream) = stream.into_std() {
        drop(stream.write_all(&turned_away(problem)));
    }
}

fn forbidden() -> Problem {
    let message = "This daemon is another user's.";
    Problem::new(ProblemKind::Forbidden, message)
}

fn crowded() -> Problem {
    let message = format!("Too many ask at once: at most {GUESTS} may.");
    Problem::new(ProblemKind::Busy, message).hint("Try again; `logs -f` and `events` count too.")
}
