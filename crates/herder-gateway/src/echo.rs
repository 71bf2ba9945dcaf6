//! A gateway that answers each message with the message: what the conformance tests talk to.

use std::io;
use std::net::TcpListener;

use herder_wire::gateway::{GatewayConfig, Origins, Protocol};
use herder_wire::link::MAX_MESSAGE;
use tokio::runtime::{Builder, LocalOptions};

use crate::edge::{Door, Edge, Settings};
use crate::hub::loopback::{Answering, Loopback};

/// Serves an echo on a listener until the process ends: WebSocket with messages of the greatest
/// length. There are no workers.
///
/// # Errors
///
/// When there is no runtime, or the listener is none.
pub fn serve_echo(listener: TcpListener) -> io::Result<()> {
    let config = GatewayConfig {
        max_message: u32::try_from(MAX_MESSAGE).expect("some megabytes"),
        origins: Origins::Any,
        ..GatewayConfig::default()
    };
    let door = Door {
        name: "echo".into(),
        listener: listener.into(),
        protocol: Protocol::WebSocket,
    };
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())?;
    runtime.block_on(async {
        let hub = Loopback::new(Answering::AtOnce).hub();
        let _edge = Edge::open(hub, Settings::from(&config), vec![door], None)?;
        std::future::pending().await
    })
}
