//! The front, between clients and workers that speak by raw sockets.

mod basics;
mod rig;

use rig::{Rig, play, read_request};
use tokio::io::AsyncWriteExt;
