//! What the master is told.

use std::io;
use std::rc::Rc;

use herder_wire::control::ToMaster;
use tokio::sync::mpsc;

use crate::control::Channel;

/// Tells the master in order, and waits for it where it does not read.
pub(super) fn voice(channel: Rc<Channel>) -> mpsc::UnboundedSender<ToMaster> {
    let (say, mut said) = mpsc::unbounded_channel::<ToMaster>();
    tokio::task::spawn_local(async move {
        while let Some(message) = said.recv().await {
            let mut packet = Vec::new();
            if message.encode(&mut packet).is_err() {
                continue;
            }
            loop {
                match channel.send(&packet) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => channel.room().await,
                    // A master that is gone shows where its orders come in.
                    Ok(()) | Err(_) => break,
                }
            }
        }
    });
    say
}
