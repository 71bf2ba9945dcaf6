//! A WebSocket server that knows nothing but `PORT`, and answers each message with itself.

use std::io;
use std::net::Ipv4Addr;

use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::accept_async_with_config;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// Longest message, in bytes: that of Autobahn's chapter 9.
const LONGEST: usize = 16 * 1024 * 1024;

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let port = std::env::var("PORT").ok();
    let port = port.and_then(|port| port.parse().ok()).ok_or_else(|| {
        let why = "PORT is to be a number";
        io::Error::new(io::ErrorKind::InvalidInput, why)
    })?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(echo(stream));
    }
}

/// Serves a client until it leaves, or says what cannot be said.
async fn echo(stream: TcpStream) {
    let config = WebSocketConfig::default()
        .max_message_size(Some(LONGEST))
        .max_frame_size(Some(LONGEST));
    let Ok(mut socket) = accept_async_with_config(stream, Some(config)).await else {
        return;
    };
    while let Some(Ok(message)) = socket.next().await {
        let is_message = message.is_text() || message.is_binary();
        if is_message && socket.send(message).await.is_err() {
            return;
        }
    }
}
