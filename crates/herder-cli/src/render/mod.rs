//! What the command shows. Everything here is data in and text out, but for [`screen`], which prints it.

pub(crate) mod describe;
pub(crate) mod doctor;
pub(crate) mod history;
pub(crate) mod jobs;
pub(crate) mod list;
pub(crate) mod logs;
pub(crate) mod plan;
pub(crate) mod problem;
pub(crate) mod progress;
pub(crate) mod screen;
#[cfg(test)]
pub(crate) mod snapshot;
pub(crate) mod style;
mod table;
pub(crate) mod text;

pub(crate) use screen::{Format, Screen};
pub(crate) use style::{Paint, Style};

/// One clear error.
#[expect(clippy::print_stderr, reason = "this is where the command speaks")]
pub(crate) fn error(text: &str) {
    eprintln!("herder: {text}");
}
