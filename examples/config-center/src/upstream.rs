//! The one connection to the configuration server.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::time::Duration;

use config_center::Line;
use herder::rpc::server::StateSource;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};

use crate::log::say;

/// How long the first connection may take, all keys included.
const FIRST: Duration = Duration::from_secs(10);

/// Between two attempts to connect again: at first, and at most.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// How many changes may wait to be sent.
const WAITING: usize = 64;

/// The values of the configuration server, as far as they have come.
pub(crate) struct Upstream {
    values: StateSource<String, String>,
    orders: mpsc::Sender<Order>,
}

/// A change for the server, and who is told when it is made.
struct Order {
    line: Line,
    done: oneshot::Sender<()>,
}

impl Upstream {
    /// Connects, and returns when all values are there.
    pub(crate) async fn connect(server: String) -> io::Result<Upstream> {
        let values = StateSource::new();
        let opened = tokio::time::timeout(FIRST, Connection::open(&server, &values));
        let connection = opened.await.map_err(io::Error::from).flatten();
        let connection = connection.map_err(|error| {
            let problem = format!("cannot follow the configuration server {server}: {error}");
            io::Error::new(error.kind(), problem)
        })?;
        let (orders, ordered) = mpsc::channel(WAITING);
        tokio::spawn(keep(connection, server, values.clone(), ordered));
        Ok(Upstream { values, orders })
    }

    pub(crate) fn values(&self) -> &StateSource<String, String> {
        &self.values
    }

    /// Changes a key at the server, and waits until it has said so.
    pub(crate) async fn set(&self, key: String, value: String) -> io::Result<()> {
        let away = || io::Error::other("the configuration server is away");
        let (done, told) = oneshot::channel();
        let line = Line::Set(key, value);
        let ordered = self.orders.send(Order { line, done }).await;
        ordered.map_err(|_| away())?;
        told.await.map_err(|_| away())
    }
}

/// Follows the server for ever. While it is away, the last values stay.
async fn keep(
    mut connection: Connection,
    server: String,
    values: StateSource<String, String>,
    mut orders: mpsc::Receiver<Order>,
) {
    loop {
        let lost = connection.follow(&values, &mut orders).await;
        say(&format!("the configuration server is away: {lost}"));
        let mut delay = RETRY.0;
        connection = loop {
            // Nobody knows when it comes back, so changes fail at once.
            while orders.try_recv().is_ok() {}
            match Connection::open(&server, &values).await {
                Ok(connection) => break connection,
                Err(_still_away) => tokio::time::sleep(delay).await,
            }
            delay = RETRY.1.min(delay * 2);
        };
    }
}

struct Connection {
    lines: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
}

impl Connection {
    /// Connects, and reads all values.
    async fn open(server: &str, values: &StateSource<String, String>) -> io::Result<Connection> {
        let socket = TcpStream::connect(server).await?;
        socket.set_nodelay(true)?;
        let (reader, writer) = socket.into_split();
        let lines = BufReader::new(reader).lines();
        let mut connection = Connection { lines, writer };
        connection.send(&Line::Follow).await?;
        let mut gone: HashSet<String> = values.keys().into_iter().collect();
        loop {
            match connection.line().await? {
                Line::End => break,
                Line::Set(key, value) => {
                    gone.remove(&key);
                    set(values, key, value);
                }
                Line::Follow | Line::Remove(_) | Line::Done | Line::Count | Line::Counted(..) => {
                    return Err(io::ErrorKind::InvalidData.into());
                }
            }
        }
        for key in gone {
            values.remove(&key);
        }
        say(&format!("connected with {server}, {} keys", values.len()));
        Ok(connection)
    }

    /// Takes changes, and sends orders, until the connection is lost.
    async fn follow(
        &mut self,
        values: &StateSource<String, String>,
        orders: &mut mpsc::Receiver<Order>,
    ) -> io::Error {
        let mut sent = VecDeque::new();
        loop {
            let step = tokio::select! {
                line = self.lines.next_line() => line.and_then(read).map(|line| match line {
                    Line::Set(key, value) => set(values, key, value),
                    Line::Remove(key) => drop(values.remove(&key)),
                    // Answers come in the order of the orders. Who ordered may not wait any more.
                    Line::Done => drop(sent.pop_front().map(|done: oneshot::Sender<()>| done.send(()))),
                    Line::Follow | Line::End | Line::Count | Line::Counted(..) => {}
                }),
                Some(Order { line, done }) = orders.recv() => {
                    sent.push_back(done);
                    self.send(&line).await
                }
            };
            if let Err(error) = step {
                return error;
            }
        }
    }

    async fn line(&mut self) -> io::Result<Line> {
        self.lines.next_line().await.and_then(read)
    }

    async fn send(&mut self, line: &Line) -> io::Result<()> {
        self.writer.write_all(format!("{line}\n").as_bytes()).await
    }
}

fn read(line: Option<String>) -> io::Result<Line> {
    let line = line.ok_or(io::ErrorKind::UnexpectedEof)?;
    Line::parse(&line).ok_or_else(|| io::Error::other(format!("it says {line:?}")))
}

/// What is said again is no change.
fn set(values: &StateSource<String, String>, key: String, value: String) {
    if values.with(&key, |known| *known == value) != Some(true) {
        values.set(key, value);
    }
}
