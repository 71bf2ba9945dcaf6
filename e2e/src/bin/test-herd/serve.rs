//! The two kinds of workers.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;

use herder::{AsyncConnection, AsyncWorker, Connection, Peer, Worker};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::args::Args;
use crate::deed::Answer;
use crate::ledger::Ledger;
use crate::request::{MAX_HEAD, Request, answer};

/// A worker that serves many connections at a time.
pub(crate) async fn tasks(worker: AsyncWorker, args: Args) -> io::Result<()> {
    let ledger = Arc::new(Ledger::open(args.ledger.as_deref())?);
    let text = Arc::<str>::from(format!("pid:{} worker:{}", worker.pid(), worker.id()));
    if let Some(status) = args.exit_at_start {
        std::process::exit(status);
    }
    if args.never_ready {
        std::future::pending::<()>().await;
    }
    let listener = worker.listener();
    while let Some(connection) = listener.accept().await? {
        ledger.got(port(connection.peer()))?;
        let (ledger, text) = (ledger.clone(), text.clone());
        // What fails here is the client's doing.
        tokio::spawn(async move { serve(connection, &ledger, &text).await });
    }
    if args.ignore_drain {
        std::future::pending::<()>().await;
    }
    Ok(())
}

async fn serve(mut connection: AsyncConnection, ledger: &Ledger, text: &str) -> io::Result<()> {
    let mut head = Vec::with_capacity(256);
    let request = loop {
        if connection.read_buf(&mut head).await? == 0 || head.len() > MAX_HEAD {
            return Ok(());
        }
        if let Some(request) = Request::parse(&head) {
            break request;
        }
    };
    if let Some(id) = request.id {
        ledger.saw(id)?;
    }
    let body = match request.deed.before() {
        Ok(Answer::Now) => text.to_owned(),
        Ok(Answer::After(time)) => {
            tokio::time::sleep(time).await;
            text.to_owned()
        }
        Err(error) => format!("{text} {error}"),
    };
    connection.write_all(&answer(&body)).await?;
    connection.shutdown().await?;
    drop(connection);
    request.deed.after();
    Ok(())
}

/// A worker that serves one connection after the other.
pub(crate) fn blocking(worker: &Worker, args: &Args) -> io::Result<()> {
    let ledger = Ledger::open(args.ledger.as_deref())?;
    let text = format!("pid:{} worker:{}", worker.pid(), worker.id());
    while let Some(connection) = worker.accept()? {
        ledger.got(port(connection.peer()))?;
        // What fails here is the client's doing.
        let _gone = serve_blocking(connection, &ledger, &text);
    }
    if args.ignore_drain {
        loop {
            std::thread::park();
        }
    }
    Ok(())
}

fn serve_blocking(mut connection: Connection, ledger: &Ledger, text: &str) -> io::Result<()> {
    let mut head = [0; MAX_HEAD];
    let mut length = 0;
    let request = loop {
        match connection.read(&mut head[length..])? {
            0 => return Ok(()),
            more => length += more,
        }
        if let Some(request) = Request::parse(&head[..length]) {
            break request;
        }
    };
    if let Some(id) = request.id {
        ledger.saw(id)?;
    }
    let body = match request.deed.before() {
        Ok(Answer::Now) => text.to_owned(),
        Ok(Answer::After(time)) => {
            std::thread::sleep(time);
            text.to_owned()
        }
        Err(error) => format!("{text} {error}"),
    };
    connection.write_all(&answer(&body))?;
    connection.shutdown(Shutdown::Write)?;
    drop(connection);
    request.deed.after();
    Ok(())
}

fn port(peer: io::Result<Peer>) -> u16 {
    match peer {
        Ok(Peer::Tcp(address)) => address.port(),
        Ok(Peer::Unix) | Err(_) => 0,
    }
}
