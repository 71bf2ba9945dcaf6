//! Over a real Redis or Valkey.

mod cache;
mod claims;
mod host;
mod hostile;
mod outage;
mod proxy;
mod server;
mod space;
mod tally;
