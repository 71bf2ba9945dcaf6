#![forbid(unsafe_code)]
//! A configuration server: holds keys, and pushes every change to all that follow.
//!
//! It stands for one that a company has already. Each connection costs it something, so it counts
//! them.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use clap::Parser;
use config_center::Line;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;

/// How many changes a follower may be behind before it is cut off, and follows anew.
const BEHIND: usize = 1024;

/// Holds keys, and pushes every change to all that follow.
#[derive(Parser)]
struct Args {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:9000")]
    listen: SocketAddr,

    /// What it holds at first.
    #[arg(value_name = "KEY=VALUE", value_parser = pair)]
    keys: Vec<(String, String)>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let args = Args::parse();
    let listener = TcpListener::bind(args.listen).await?;
    say(&format!("listening on {}", listener.local_addr()?));
    let center = Arc::new(Center::new(args.keys));
    loop {
        let (socket, _address) = listener.accept().await?;
        let center = Arc::clone(&center);
        // Why one connection ended is nobody else's business.
        tokio::spawn(async move { drop(serve(socket, &center).await) });
    }
}

/// What all connections share.
struct Center {
    state: Mutex<State>,
    changes: broadcast::Sender<Line>,
}

struct State {
    keys: BTreeMap<String, String>,
    followers: usize,
    ever: usize,
}

impl Center {
    fn new(keys: Vec<(String, String)>) -> Center {
        let state = State {
            keys: keys.into_iter().collect(),
            followers: 0,
            ever: 0,
        };
        Center {
            state: Mutex::new(state),
            changes: broadcast::Sender::new(BEHIND),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: Line) {
        let mut state = self.state();
        match &change {
            Line::Set(key, value) => drop(state.keys.insert(key.clone(), value.clone())),
            Line::Remove(key) => drop(state.keys.remove(key)),
            Line::Follow | Line::End | Line::Done | Line::Count | Line::Counted(..) => return,
        }
        // While the state is held: all followers hear of changes in one order. There may be none.
        let _nobody = self.changes.send(change);
    }

    /// All keys as they are, and the changes from then on.
    fn follow(&self) -> (Vec<Line>, broadcast::Receiver<Line>) {
        let mut state = self.state();
        state.followers += 1;
        state.ever += 1;
        say(&format!("a connection follows, {} now", state.followers));
        let set = |(key, value): (&String, &String)| Line::Set(key.clone(), value.clone());
        let keys = state.keys.iter().map(set).chain([Line::End]).collect();
        (keys, self.changes.subscribe())
    }
}

/// Counts a follower until it is dropped.
struct Follower<'a>(&'a Center);

impl Drop for Follower<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.followers -= 1;
        say(&format!("a connection has left, {} now", state.followers));
    }
}

async fn serve(socket: TcpStream, center: &Center) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let (reader, mut writer) = socket.into_split();
    let mut lines = BufReader::new(reader).lines();
    while let Some(line) = lines.next_line().await? {
        let answer = match Line::parse(&line) {
            Some(Line::Follow) => return follow(lines, writer, center).await,
            Some(Line::Count) => {
                let state = center.state();
                Line::Counted(state.followers, state.ever)
            }
            Some(change @ (Line::Set(..) | Line::Remove(_))) => {
                center.change(change);
                Line::Done
            }
            _ => return Ok(()),
        };
        writer.write_all(format!("{answer}\n").as_bytes()).await?;
    }
    Ok(())
}

async fn follow(
    mut lines: tokio::io::Lines<BufReader<OwnedReadHalf>>,
    mut writer: OwnedWriteHalf,
    center: &Center,
) -> io::Result<()> {
    let (keys, mut changes) = center.follow();
    let _counted = Follower(center);
    let text: String = keys.iter().map(|line| format!("{line}\n")).collect();
    writer.write_all(text.as_bytes()).await?;
    loop {
        let told = tokio::select! {
            change = changes.recv() => {
                // One that is too far behind is cut off.
                change.map_err(io::Error::other)?.to_string()
            }
            line = lines.next_line() => match line?.as_deref().map(Line::parse) {
                Some(Some(change @ (Line::Set(..) | Line::Remove(_)))) => {
                    center.change(change);
                    all(&mut changes, Line::Done)
                }
                _ => return Ok(()),
            },
        };
        writer.write_all(format!("{told}\n").as_bytes()).await?;
    }
}

/// What waits to be told, with `last` behind it: who changes a key has its own change by then.
fn all(changes: &mut broadcast::Receiver<Line>, last: Line) -> String {
    let waiting = std::iter::from_fn(|| changes.try_recv().ok());
    let lines: Vec<String> = waiting.chain([last]).map(|line| line.to_string()).collect();
    lines.join("\n")
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() && !text.contains([' ', '\n']) => {
            Ok((key.to_owned(), value.to_owned()))
        }
        _ => Err("write KEY=VALUE without blanks".to_owned()),
    }
}

#[expect(clippy::print_stdout, reason = "the server's own log")]
fn say(text: &str) {
    println!("{text}");
}
