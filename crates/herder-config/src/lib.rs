//! Files that define apps: `herder.toml` and PM2's ecosystem files.
#![forbid(unsafe_code)]
