//! The daemon: keeps the list of apps, and has a herd for each.
#![forbid(unsafe_code)]
