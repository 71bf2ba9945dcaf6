//! One process that sends every WebSocket message back: what a gateway with workers behind it is compared with.

use super::{announce, listen};
use futures_util::{FutureExt, SinkExt, StreamExt};
use std::io;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, accept_async};

/// Serves until it is killed.
pub(super) fn run() -> io::Result<()> {
    let listener = listen()?;
    let runtime = Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        announce(&listener)?;
        let listener = TcpListener::from_std(listener)?;
        loop {
            let (client, _) = listener.accept().await?;
            // That a client has gone is the end of its connection, and nothing else.
            tokio::spawn(async move { serve(client).await });
        }
    })
}

async fn serve(client: TcpStream) -> Result<(), Error> {
    let mut socket = accept_async(client).await?;
    while let Some(message) = socket.next().await {
        send_back(&mut socket, message?).await?;
        // What is there already is answered in the same write.
        while let Some(Some(message)) = socket.next().now_or_never() {
            send_back(&mut socket, message?).await?;
        }
        socket.flush().await?;
    }
    Ok(())
}

async fn send_back(socket: &mut WebSocketStream<TcpStream>, message: Message) -> Result<(), Error> {
    // Pings and closes are answered by the library.
    if message.is_text() || message.is_binary() {
        socket.feed(message).await?;
    }
    Ok(())
}
