//! What the command itself prints.

/// One clear error.
#[expect(clippy::print_stderr, reason = "this is where the command speaks")]
pub(crate) fn error(text: &str) {
    eprintln!("herder: {text}");
}
