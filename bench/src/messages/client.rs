//! One client: a message for each of its places, sent again as soon as it is back.

use super::PATIENCE;
use super::tally::Tally;
use futures_util::{FutureExt, SinkExt, StreamExt};
use std::net::SocketAddr;
use std::time::Instant;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, client_async};

/// Length of a message, in bytes.
const LENGTH: usize = 64;

type Socket = WebSocketStream<TcpStream>;

pub(super) async fn connect(address: SocketAddr) -> Socket {
    let stream = TcpStream::connect(address)
        .await
        .expect("the server listens");
    stream
        .set_nodelay(true)
        .expect("a new connection has options");
    let (socket, _) = client_async(format!("ws://{address}/"), stream)
        .await
        .expect("the server speaks WebSocket");
    socket
}

/// Sends until `end`, then waits for the last answers.
pub(super) async fn run(mut socket: Socket, outstanding: usize, end: Instant) -> Tally {
    let mut client = Client {
        places: (0..outstanding).map(Place::new).collect(),
        waiting: 0,
        end,
        tally: Tally::default(),
    };
    if let Err(error) = client.talk(&mut socket).await {
        client.tally.fail(&error.to_string(), client.waiting.max(1));
        return client.tally;
    }
    client.tally.fail("lost", client.waiting);
    // The figures are complete; a server that has closed before us is no failure.
    let _closed = socket.close(None).await;
    client.tally
}

struct Client {
    places: Vec<Place>,
    /// How many messages are on their way.
    waiting: usize,
    end: Instant,
    tally: Tally,
}

/// A message and when it was sent; `None` = it is not on its way.
struct Place {
    text: Utf8Bytes,
    sent: Option<Instant>,
}

impl Place {
    fn new(number: usize) -> Place {
        Place {
            text: format!("{number:<LENGTH$}").into(),
            sent: None,
        }
    }
}

impl Client {
    async fn talk(&mut self, socket: &mut Socket) -> Result<(), Error> {
        for place in &mut self.places {
            place.sent = Some(Instant::now());
            self.waiting += 1;
            socket.feed(Message::Text(place.text.clone())).await?;
        }
        socket.flush().await?;
        while self.waiting > 0 {
            let Ok(heard) = timeout(PATIENCE, socket.next()).await else {
                return Ok(());
            };
            self.hear(socket, heard).await?;
            // What has come together goes out together.
            while let Some(heard) = socket.next().now_or_never() {
                self.hear(socket, heard).await?;
            }
            socket.flush().await?;
        }
        Ok(())
    }

    async fn hear(
        &mut self,
        socket: &mut Socket,
        heard: Option<Result<Message, Error>>,
    ) -> Result<(), Error> {
        let message = heard.unwrap_or(Err(Error::ConnectionClosed))?;
        let place = number(&message).and_then(|number| self.places.get_mut(number));
        let Some(place) = place else {
            self.tally.fail("unexpected", 1);
            return Ok(());
        };
        let now = Instant::now();
        let Some(sent) = place.sent.take() else {
            self.tally.fail("doubled", 1);
            return Ok(());
        };
        self.waiting -= 1;
        self.tally.answered(now - sent);
        if now < self.end {
            place.sent = Some(now);
            self.waiting += 1;
            socket.feed(Message::Text(place.text.clone())).await?;
        }
        Ok(())
    }
}

fn number(message: &Message) -> Option<usize> {
    message.to_text().ok()?.trim_end().parse().ok()
}
