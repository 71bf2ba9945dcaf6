//! HTTP/1.1: the way to a WebSocket, the app's own page, and the live feed.
//!
//! | module | what it is |
//! |---|---|
//! | [`serving`] | one connection: requests until it ends or becomes a WebSocket |
//! | [`site`] | one request |
//! | [`origin`] | whose pages may connect |
//! | [`page`], [`path`], [`media`] | files beneath a directory |
//! | [`feed`] | the workers' states as server-sent events |
//! | [`body`], [`patience`] | what is sent, and to whom it is sent no longer |

mod body;
mod feed;
mod media;
mod origin;
mod page;
mod path;
mod patience;
mod serving;
mod site;
#[cfg(test)]
mod tests;

pub(super) use serving::serve;
pub(super) use site::Site;
