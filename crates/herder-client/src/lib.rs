//! A client of the daemon.
#![forbid(unsafe_code)]
