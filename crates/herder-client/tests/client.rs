//! The client, before daemons that a test plays: they die, hang up, and answer nonsense.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use herder_api::Problem;
use herder_api::control::{Action, Progress, Verb};
use herder_api::problem::ProblemKind;
use herder_client::{Client, Error};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{sleep, timeout};

const DAEMON: &str =
    r#"{"pid":4711,"version":"1.2.3","home":"/home/me/.herder","since_ms":0,"apps":2}"#;

/// A path for a socket, and its removal.
struct Place(PathBuf);

impl Place {
    fn new() -> Place {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("herder-client-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        drop(std::fs::remove_file(&path));
        Place(path)
    }

    fn client(&self) -> Client {
        Client::new(&self.0)
    }

    fn listen(&self) -> UnixListener {
        UnixListener::bind(&self.0).unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// Reads a request, its body included.
async fn request(listener: &UnixListener) -> (UnixStream, String) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut read = Vec::new();
    loop {
        assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0);
        let text = String::from_utf8(read.clone()).unwrap();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return (stream, text);
            }
        }
    }
}

fn whole(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

async fn say(mut stream: UnixStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

fn restart() -> Action {
    Action {
        verb: Verb::Restart,
        targets: vec!["web".to_owned()],
        environment: None,
        profile: None,
        settings: serde_json::Map::new(),
    }
}

#[tokio::test]
async fn what_is_asked_for_is_asked_for() {
    let place = Place::new();
    let listener = place.listen();
    let client = place.client();
    let asking = tokio::spawn(async move {
        let targets = ["/^a b/".to_owned(), "all".to_owned()];
        let apps = client.apps(&targets).await;
        (apps, client.history("web", 7).await)
    });
    let (stream, asked) = request(&listener).await;
    assert!(
        asked.starts_with("GET /v1/apps?target=%2F%5Ea%20b%2F&target=all HTTP/1.1\r\n"),
        "{asked}"
    );
    say(stream, &whole("200 OK", "[]")).await;
    let (stream, asked) = request(&listener).await;
    assert!(
        asked.starts_with("GET /v1/apps/web/history?lines=7 HTTP/1.1\r\n"),
        "{asked}"
    );
    say(stream, &whole("200 OK", "[]")).await;
    assert_eq!(asking.await.unwrap(), (Ok(Vec::new()), Ok(Vec::new())));
}

#[tokio::test]
async fn a_daemon_that_is_not_there_is_started_once() {
    let place = Place::new();
    let error = place.client().daemon().await.unwrap_err();
    assert_eq!(error.exit_status(), 6);
    assert!(
        error.to_string().starts_with("No daemon answers at"),
        "{error}"
    );

    let started = Arc::new(AtomicU32::new(0));
    let client = {
        let (started, path) = (Arc::clone(&started), place.0.clone());
        place.client().starting(move || {
            started.fetch_add(1, Ordering::Relaxed);
            let listener = UnixListener::bind(&path).unwrap();
            tokio::spawn(async move {
                for _ in 0..2 {
                    say(request(&listener).await.0, &whole("200 OK", DAEMON)).await;
                }
            });
            Ok(())
        })
    };
    assert_eq!(client.daemon().await.unwrap().pid, 4711);
    assert_eq!(client.daemon().await.unwrap().pid, 4711);
    assert_eq!(started.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_daemon_that_cannot_be_started_says_why() {
    let place = Place::new();
    let problem = Problem::new(ProblemKind::Internal, "The home is not writable.");
    let client = place.client().starting({
        let problem = problem.clone();
        move || Err(problem.clone())
    });
    assert_eq!(client.daemon().await, Err(Error::Unreachable(problem)));
    // It is not started to be ended.
    let error = client.stop_daemon(<_>::default()).await.unwrap_err();
    assert!(
        error.to_string().starts_with("No daemon answers"),
        "{error}"
    );
}

#[tokio::test]
async fn a_daemon_that_is_just_being_restarted_is_waited_for() {
    let place = Place::new();
    drop(place.listen());
    let client = place
        .client()
        .starting(|| panic!("it comes back by itself"));
    let asking = tokio::spawn(async move { client.daemon().await });
    sleep(Duration::from_millis(50)).await;
    std::fs::remove_file(&place.0).unwrap();
    let listener = place.listen();
    say(request(&listener).await.0, &whole("200 OK", DAEMON)).await;
    assert_eq!(asking.await.unwrap().unwrap().pid, 4711);
}

/// A process with these words as its arguments, until it is dropped.
struct Guard(std::process::Child);

impl Guard {
    async fn new(word: &str) -> Guard {
        let mut command = std::process::Command::new("sh");
        let command = command.args(["-c", "read line", word]);
        let command = command.stdin(std::process::Stdio::piped());
        let guard = Guard(command.spawn().unwrap());
        // It is spawned a moment before its arguments can be seen.
        let arguments = format!("/proc/{}/cmdline", guard.0.id());
        let seen = async {
            while !std::fs::read_to_string(&arguments).unwrap().contains(word) {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(Duration::from_secs(30), seen).await.unwrap();
        guard
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test]
async fn a_guard_brings_its_daemon_back() {
    let place = Place::new();
    std::fs::create_dir(&place.0).unwrap();
    let socket = place.0.join("herder.sock");
    let client = Client::of_home(&place.0);
    for (word, comes_back) in [("daemon", true), ("other", false)] {
        let guard = Guard::new(word).await;
        std::fs::write(place.0.join("daemon.lock"), format!("{}\n", guard.0.id())).unwrap();
        let asking = tokio::spawn({
            let client = client.clone();
            async move { client.daemon().await }
        });
        // Longer than a daemon is waited for that nobody guards.
        sleep(Duration::from_millis(800)).await;
        assert_eq!(asking.is_finished(), !comes_back, "{word}");
        let listener = UnixListener::bind(&socket).unwrap();
        if comes_back {
            say(request(&listener).await.0, &whole("200 OK", DAEMON)).await;
        }
        assert_eq!(asking.await.unwrap().is_ok(), comes_back, "{word}");
        std::fs::remove_file(&socket).unwrap();
    }
}

#[tokio::test]
async fn what_changes_nothing_is_asked_again_once() {
    let place = Place::new();
    let listener = place.listen();
    let client = place.client();
    let asking = tokio::spawn(async move { client.daemon().await });
    drop(request(&listener).await);
    // It is gone for a moment.
    drop(listener);
    std::fs::remove_file(&place.0).unwrap();
    sleep(Duration::from_millis(50)).await;
    let listener = place.listen();
    say(request(&listener).await.0, &whole("200 OK", DAEMON)).await;
    assert_eq!(asking.await.unwrap().unwrap().pid, 4711);

    // Not forever.
    let client = place.client();
    let asking = tokio::spawn(async move { client.daemon().await });
    drop(request(&listener).await);
    drop(request(&listener).await);
    let error = asking.await.unwrap().unwrap_err();
    assert_eq!(error.exit_status(), 6, "{error}");
    assert!(error.to_string().contains("GET /v1/daemon"), "{error}");
}

#[tokio::test]
async fn what_changes_something_is_asked_once() {
    let place = Place::new();
    let listener = place.listen();
    let client = place.client();
    let asking = tokio::spawn(async move { client.act(&restart()).await.map(drop) });
    let (stream, asked) = request(&listener).await;
    assert!(
        asked.ends_with(r#"{"verb":{"do":"restart"},"targets":["web"]}"#),
        "{asked}"
    );
    drop(stream);
    let error = asking.await.unwrap().unwrap_err();
    assert_eq!(error.exit_status(), 6, "{error}");
    let again = timeout(Duration::from_millis(200), listener.accept()).await;
    assert!(again.is_err(), "it was asked again");
}

#[tokio::test]
async fn problems_are_told_as_they_are() {
    let place = Place::new();
    let listener = place.listen();
    let problem = Problem::new(ProblemKind::NotFound, "There is no app \"wep\".").hint("web?");
    let told = serde_json::to_string(&problem).unwrap();
    for (answer, status, message) in [
        (whole("404 Not Found", &told), 5, "There is no app"),
        (
            whole("404 Not Found", ""),
            5,
            "does not know GET /v1/apps/wep",
        ),
        (
            whole("500 Internal Server Error", "oh"),
            70,
            "makes no sense",
        ),
        (whole("200 OK", "{\"pid\":"), 70, "makes no sense"),
        (whole("200 OK", "[]"), 70, "makes no sense"),
    ] {
        let client = place.client();
        let asking = tokio::spawn(async move { client.app("wep").await });
        say(request(&listener).await.0, &answer).await;
        let error = asking.await.unwrap().unwrap_err();
        assert_eq!(error.exit_status(), status, "{error}");
        assert!(error.to_string().contains(message), "{error}");
    }
}

#[tokio::test]
async fn a_refusal_that_comes_before_the_question_is_heard() {
    let place = Place::new();
    let listener = place.listen();
    let problem = Problem::new(ProblemKind::Forbidden, "This daemon is another user's.");
    let told = serde_json::to_string(&problem).unwrap();
    let client = place.client();
    let asking = tokio::spawn(async move { client.daemon().await });
    let (mut stream, _) = listener.accept().await.unwrap();
    let answer = whole("403 Forbidden", &told);
    stream.write_all(answer.as_bytes()).await.unwrap();
    drop(stream);
    let refused = asking.await.unwrap();
    assert_eq!(refused, Err(Error::Problem(problem)));
}

/// Sends pieces of a stream as they are, and ends it or not.
async fn stream(pieces: &[&str], end: &str) -> (Vec<Progress>, Option<Error>) {
    let place = Place::new();
    let listener = place.listen();
    let client = place.client();
    let reading = tokio::spawn(async move {
        let mut lines = client.act(&restart()).await.unwrap();
        let mut all = Vec::new();
        loop {
            match lines.next().await {
                Some(Ok(progress)) => all.push(progress),
                Some(Err(error)) => {
                    assert!(lines.next().await.is_none(), "nothing comes after an error");
                    return (all, Some(error));
                }
                None => return (all, None),
            }
        }
    });
    let (mut to, _) = request(&listener).await;
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    to.write_all(head.as_bytes()).await.unwrap();
    for piece in pieces {
        let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
        // Who has heard nonsense listens no more.
        drop(to.write_all(chunk.as_bytes()).await);
        tokio::task::yield_now().await;
    }
    drop(to.write_all(end.as_bytes()).await);
    drop(to);
    reading.await.unwrap()
}

#[tokio::test]
async fn lines_are_lines_however_they_come() {
    let end = |done| Progress::End { done, failed: 0 };
    let pieces = [
        "{\"is\":\"end\",\"do",
        "ne\":1,\"failed\":0}\n{\"is\":\"end\",\"done\":2,\"failed\":0}",
        "\n\n",
        "{\"is\":\"end\",\"done\":3,\"failed\":0}\n",
    ];
    let (all, error) = stream(&pieces, "0\r\n\r\n").await;
    assert_eq!((all, error), (vec![end(1), end(2), end(3)], None));

    // Cut in a line, cut between lines, and a line that is none.
    let (all, error) = stream(&[pieces[0]], "0\r\n\r\n").await;
    assert!(all.is_empty() && matches!(error, Some(Error::Unreachable(_))));
    let (all, error) = stream(&pieces, "").await;
    assert_eq!(all.len(), 3);
    let Some(Error::Unreachable(problem)) = error else {
        panic!("{error:?}");
    };
    assert!(problem.message.contains("in the middle"), "{problem:?}");
    let (all, error) = stream(&[pieces[3], "what?\n", pieces[3]], "0\r\n\r\n").await;
    assert_eq!(all, [end(3)]);
    assert_eq!(error.unwrap().exit_status(), 70);
}

#[tokio::test]
async fn a_stream_that_is_dropped_is_closed() {
    let place = Place::new();
    let listener = place.listen();
    let client = place.client();
    let asking = tokio::spawn(async move { client.events().await.unwrap() });
    let (mut stream, _) = request(&listener).await;
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    drop(asking.await.unwrap());
    let mut rest = Vec::new();
    let closed = timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await;
    // A reset is an end, too.
    drop(closed.expect("it is closed"));
    assert!(rest.is_empty());
}

#[tokio::test]
async fn a_pipe_in_the_place_of_the_lock_is_not_waited_for() {
    let place = Place::new();
    std::fs::create_dir(&place.0).unwrap();
    let pipe = place.0.join("daemon.lock");
    let made = std::process::Command::new("mkfifo").arg(pipe).status();
    assert!(made.unwrap().success());
    let client = Client::new(place.0.join("herder.sock"));
    // A thread that waits for the pipe cannot be given up: it would have to be let go.
    let answer = tokio::spawn(async move { client.daemon().await });
    assert!(matches!(answer.await.unwrap(), Err(Error::Unreachable(_))));
}
