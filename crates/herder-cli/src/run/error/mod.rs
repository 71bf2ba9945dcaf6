//! Why a description makes no herd: a cause for each part of it, and the one error that any of them becomes.
//!
//! They know how settings are called, and nothing else of what is made of them; so every part can know them.

mod library;
mod node;
mod own;
mod program;
mod proxy;
mod run;
mod services;

pub(super) use library::LibraryError;
pub(super) use node::NodeError;
pub(super) use own::OwnError;
pub(super) use program::ProgramError;
pub(super) use proxy::ProxyError;
pub(crate) use run::RunError;
pub(super) use services::ServicesError;
