//! `herder monit`: everything on one screen.
//!
//! [`model`] is what is known and what was pressed: data and keys in, wishes out. [`view`] makes a frame of
//! it. [`shell`] has the terminal and the daemon.

mod model;
mod shell;
#[cfg(test)]
mod tests;
mod view;

pub(crate) use shell::{has_terminal, run};
pub(crate) use view::Theme;
