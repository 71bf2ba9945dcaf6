//! Clients that send WebSocket messages as fast as they come back.

mod client;
mod tally;

pub use tally::Tally;

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};
use tokio::runtime::Builder;

/// How long an answer may take before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(5);

/// So many clients, each with so many messages on their way at a time.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Connections; each stays.
    pub clients: usize,
    /// Messages of each client that wait for their answer.
    pub outstanding: usize,
}

impl Load {
    /// Sends to `address` for `time`, on a thread of its own, and waits for the last answers.
    ///
    /// # Panics
    /// When the clients cannot connect.
    pub fn press(self, address: SocketAddr, time: Duration) -> Tally {
        let thread = thread::spawn(move || self.run(address, time));
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    fn run(self, address: SocketAddr, time: Duration) -> Tally {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime needs some descriptors");
        runtime.block_on(async {
            let mut sockets = Vec::new();
            for _ in 0..self.clients {
                sockets.push(client::connect(address).await);
            }
            // All are connected before the clock runs.
            let begun = Instant::now();
            let clients: Vec<_> = sockets
                .into_iter()
                .map(|socket| tokio::spawn(client::run(socket, self.outstanding, begun + time)))
                .collect();
            let mut tally = Tally::default();
            for client in clients {
                tally.merge(client.await.expect("a client does not panic"));
            }
            tally.elapsed = begun.elapsed();
            tally
        })
    }
}
