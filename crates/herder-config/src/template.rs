//! The file that `herder init` writes.

/// A commented `herder.toml` to begin with.
#[must_use]
pub fn init() -> &'static str {
    "[apps.web]\nscript = \"app.js\"\n"
}
