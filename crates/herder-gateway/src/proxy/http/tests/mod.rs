//! The front, between clients and workers that speak by raw sockets.

mod basics;
mod bodies;
mod heads;
mod leaving;
mod limits;
mod meaning;
mod retries;
mod rig;
mod slowloris;
mod strict;
mod unflushed;
mod upgrades;
mod workers;

use rig::{Rig, play, read_request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::proxy::backends::{Failure, News};
