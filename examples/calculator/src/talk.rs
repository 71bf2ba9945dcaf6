//! A client for the terminal: sends expressions one after the other and prints the replies.

use std::io::{self, ErrorKind, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tungstenite::{Message, WebSocket};

use crate::args::Talk;

/// What is sent when nothing is said.
const SESSION: [&str; 9] = [
    "13",
    "13 * 2",
    "\"asdasd\" + 'dsas'",
    "123132",
    "3321",
    "312231",
    "31",
    "32154",
    "5464",
];

/// Talks, and says on standard error what went wrong.
#[expect(clippy::print_stderr, reason = "a command's last word")]
pub(crate) fn run(talk: &Talk) -> ExitCode {
    match converse(talk) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("calculator talk: {problem}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("{address}: {error}")]
    Connect { address: String, error: io::Error },
    #[error("the connection ended: {0}")]
    Ended(#[from] tungstenite::Error),
    #[error("no WebSocket: {0}")]
    Handshake(String),
    #[error("the transcript cannot be written: {0}")]
    Output(#[from] io::Error),
    #[error("no {which} reply to {expression:?} within {patience:?}")]
    Silence {
        which: &'static str,
        expression: String,
        patience: Duration,
    },
    #[error("not the {which} reply to {expression:?}: {reply}")]
    Unexpected {
        which: &'static str,
        expression: String,
        reply: String,
    },
    #[error("nobody asked for this: {0}")]
    Unasked(String),
}

fn converse(talk: &Talk) -> Result<(), Problem> {
    let mut client = Client::connect(&talk.address, talk.patience)?;
    let expressions: Vec<&str> = if talk.expressions.is_empty() {
        SESSION.to_vec()
    } else {
        talk.expressions.iter().map(String::as_str).collect()
    };
    for (index, expression) in expressions.into_iter().enumerate() {
        if index > 0 {
            client.keep_silence(talk.pause)?;
        }
        client.ask(expression, talk.patience)?;
    }
    client.leave(talk.patience)
}

struct Client(WebSocket<TcpStream>);

impl Client {
    fn connect(address: &str, patience: Duration) -> Result<Client, Problem> {
        let stream = connect(address, patience).map_err(|error| Problem::Connect {
            address: address.to_owned(),
            error,
        })?;
        let (socket, _response) = tungstenite::client(format!("ws://{address}/"), stream)
            .map_err(|error| Problem::Handshake(error.to_string()))?;
        Ok(Client(socket))
    }

    /// Sends one expression and waits for both replies. The lines `> …` and `< …` go to standard
    /// output as they come.
    fn ask(&mut self, expression: &str, patience: Duration) -> Result<(), Problem> {
        writeln!(io::stdout(), "> {expression}")?;
        self.0.send(Message::text(expression))?;
        let middle = format!(" 处理 {expression} ");
        let first = self.reply(expression, "first", patience)?;
        let head = match first.strip_suffix("中...") {
            Some(head) if head.contains(" 号机器人 ") && head.ends_with(&middle) => head,
            _ => return Err(unexpected("first", expression, first)),
        };
        let second = self.reply(expression, "second", patience)?;
        if !second.starts_with(head) {
            return Err(unexpected("second", expression, second));
        }
        Ok(())
    }

    fn reply(
        &mut self,
        expression: &str,
        which: &'static str,
        patience: Duration,
    ) -> Result<String, Problem> {
        let Some(reply) = self.receive(patience)? else {
            return Err(Problem::Silence {
                which,
                expression: expression.to_owned(),
                patience,
            });
        };
        writeln!(io::stdout(), "< {reply}")?;
        Ok(reply)
    }

    /// Lets time pass; pings are answered meanwhile.
    fn keep_silence(&mut self, time: Duration) -> Result<(), Problem> {
        match self.receive(time)? {
            Some(text) => Err(Problem::Unasked(text)),
            None => Ok(()),
        }
    }

    /// The next text; `None` when there is none within that time.
    fn receive(&mut self, within: Duration) -> Result<Option<String>, Problem> {
        let deadline = Instant::now() + within;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.0.get_ref().set_read_timeout(Some(left))?;
            match self.0.read() {
                Ok(Message::Text(text)) => return Ok(Some(text.to_string())),
                Ok(_) => {}
                Err(tungstenite::Error::Io(error)) if is_timeout(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Closes the connection as both sides should.
    fn leave(mut self, patience: Duration) -> Result<(), Problem> {
        self.0.close(None)?;
        match self.receive(patience) {
            Err(Problem::Ended(tungstenite::Error::ConnectionClosed)) | Ok(None) => Ok(()),
            Ok(Some(text)) => Err(Problem::Unasked(text)),
            Err(problem) => Err(problem),
        }
    }
}

/// A name may have several addresses; the first that answers is taken.
fn connect(address: &str, patience: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::new(ErrorKind::NotFound, "no such address");
    for candidate in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&candidate, patience) {
            Ok(stream) => {
                stream.set_read_timeout(Some(patience))?;
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock)
}

fn unexpected(which: &'static str, expression: &str, reply: String) -> Problem {
    Problem::Unexpected {
        which,
        expression: expression.to_owned(),
        reply,
    }
}
