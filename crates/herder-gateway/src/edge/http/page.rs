//! The app's own page: files beneath a directory.
//!
//! Files are looked for and read on a thread that may wait for the disk.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use herder_sys::directory::{Found, open_beneath};
use hyper::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH, LOCATION,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode, Uri};
use tokio::task::spawn_blocking;

use crate::edge::http::body::{Body, Chunk, Chunks, say};
use crate::edge::http::media::media_type;
use crate::edge::http::path::{Named, named};

/// An open directory with what is shown to whoever asks.
#[derive(Clone, Debug)]
pub(super) struct Page {
    directory: Arc<OwnedFd>,
}

/// A file, and the first of its content.
struct Opened {
    file: File,
    metadata: Metadata,
    first: Bytes,
}

enum Looked {
    Directory,
    File(Box<Opened>),
    Other,
}

impl Page {
    pub(super) fn new(directory: OwnedFd) -> Page {
        Page {
            directory: Arc::new(directory),
        }
    }

    /// Answers a request for a file.
    pub(super) async fn answer(&self, uri: &Uri, headers: &HeaderMap) -> Response<Body> {
        let path = match named(uri.path()) {
            Named::File(path) => path,
            Named::Bad => return say(StatusCode::BAD_REQUEST, "This path cannot be read.\n"),
            Named::Hidden => return absent(),
        };
        let media = media_type(&path);
        match self.look(path).await {
            Ok(Looked::File(opened)) => show(opened, media, headers),
            Ok(Looked::Directory) => moved(uri),
            Ok(Looked::Other) => refused(),
            Err(error) => failed(&error),
        }
    }

    async fn look(&self, path: PathBuf) -> io::Result<Looked> {
        let directory = Arc::clone(&self.directory);
        let look = move || match open_beneath(directory.as_fd(), &path)? {
            Found::Directory => Ok(Looked::Directory),
            Found::Other => Ok(Looked::Other),
            Found::File(mut file, metadata) => {
                let first = read(&mut file, metadata.len())?;
                let opened = Opened {
                    file,
                    metadata,
                    first,
                };
                Ok(Looked::File(Box::new(opened)))
            }
        };
        spawn_blocking(look).await.map_err(io::Error::other)?
    }
}

fn show(opened: Box<Opened>, media: &'static str, asked: &HeaderMap) -> Response<Body> {
    let length = opened.metadata.len();
    let tag = tag(&opened.metadata);
    let known = asked.get_all(IF_NONE_MATCH).iter();
    let known = known
        .into_iter()
        .any(|known| is_known(known.as_bytes(), tag.as_bytes()));
    let mut response = if known {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        let mut response = Response::new(body(opened, length));
        let media = HeaderValue::from_static(media);
        response.headers_mut().insert(CONTENT_TYPE, media);
        response
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(ETAG, tag);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn body(opened: Box<Opened>, length: u64) -> Body {
    let first = u64::try_from(opened.first.len()).unwrap_or(u64::MAX);
    if first >= length {
        return Body::from(opened.first);
    }
    let rest = Rest {
        file: opened.file,
        ready: Some(opened.first),
        left: length,
    };
    Body::chunks(Box::new(rest), Some(length))
}

/// What of a file is to be sent.
struct Rest {
    file: File,
    ready: Option<Bytes>,
    left: u64,
}

impl Chunks for Rest {
    fn next(mut self: Box<Self>) -> Pin<Box<dyn Future<Output = Chunk>>> {
        Box::pin(async {
            if self.left == 0 {
                return None;
            }
            if let Some(first) = self.ready.take() {
                self.left -= u64::try_from(first.len()).unwrap_or(u64::MAX);
                return Some((Ok(first), self as Box<dyn Chunks>));
            }
            let made = spawn_blocking(move || {
                let chunk = read(&mut self.file, self.left);
                (chunk, self)
            });
            let (chunk, mut rest) = made.await.ok()?;
            // A file that became shorter cannot be sent as it was announced.
            let chunk = chunk.and_then(|chunk| match chunk.is_empty() {
                true => Err(io::ErrorKind::UnexpectedEof.into()),
                false => Ok(chunk),
            });
            let length = chunk.as_ref().map_or(0, Bytes::len);
            rest.left -= u64::try_from(length).unwrap_or(u64::MAX);
            Some((chunk, rest as Box<dyn Chunks>))
        })
    }
}

/// Reads the next of a file, at most as much as is left of it.
fn read(file: &mut File, left: u64) -> io::Result<Bytes> {
    let size = left.min(CHUNK);
    let mut chunk = Vec::with_capacity(usize::try_from(size).expect("as long as a chunk"));
    file.take(size).read_to_end(&mut chunk)?;
    Ok(chunk.into())
}

/// Changes whenever the file does, as far as its times can tell.
fn tag(metadata: &Metadata) -> HeaderValue {
    let (seconds, nanos) = (metadata.mtime(), metadata.mtime_nsec());
    let tag = format!("\"{seconds:x}.{nanos:x}-{:x}\"", metadata.len());
    HeaderValue::from_str(&tag).expect("digits")
}

fn is_known(list: &[u8], tag: &[u8]) -> bool {
    let mut listed = list.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    listed.any(|listed| {
        let listed = listed.strip_prefix(b"W/").unwrap_or(listed);
        listed == b"*" || listed == tag
    })
}

/// To the same path with a slash, so that the links of the page there mean what they say.
fn moved(uri: &Uri) -> Response<Body> {
    // One slash only: two would lead to another host.
    let path = uri.path().trim_matches('/');
    let query = uri.query().map(|query| format!("?{query}"));
    let place = format!("/{path}/{}", query.unwrap_or_default());
    let mut response = say(StatusCode::PERMANENT_REDIRECT, "This is a directory.\n");
    match HeaderValue::from_bytes(OsStr::new(&place).as_bytes()) {
        Ok(place) => response.headers_mut().insert(LOCATION, place),
        Err(_) => return absent(),
    };
    response
}

fn absent() -> Response<Body> {
    say(StatusCode::NOT_FOUND, "There is nothing here.\n")
}

fn refused() -> Response<Body> {
    say(StatusCode::FORBIDDEN, "This is not shown.\n")
}

fn failed(error: &io::Error) -> Response<Body> {
    use io::ErrorKind::{
        CrossesDevices, InvalidFilename, NotADirectory, NotFound, PermissionDenied,
    };
    let kind = error.kind();
    if matches!(kind, NotFound | NotADirectory | InvalidFilename) {
        absent()
    } else if matches!(kind, PermissionDenied | CrossesDevices) {
        refused()
    } else {
        let sentence = "This cannot be read now.\n";
        say(StatusCode::SERVICE_UNAVAILABLE, sentence)
    }
}

/// How much is read of a file at once.
const CHUNK: u64 = 64 * 1024;
