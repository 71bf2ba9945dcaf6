//! Over a real Redis or Valkey.

mod cache;
mod claims;
mod outage;
mod server;
mod space;
