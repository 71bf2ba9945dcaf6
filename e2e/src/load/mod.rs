//! Every kind of client at once, and books that must balance.
//!
//! A [`Mix`] is traffic of several [`Kind`]s: with a connection for each request and with kept ones, instant and
//! slow answers, idle connections, bodies that come slowly, polls that last. Every request of the whole mix has a
//! number of its own. At the end there are the [`Books`]: a ledger for each kind. They are compared with what the
//! servers have written down ([`Books::assert_balanced`]): each request that was answered was seen once, by
//! the process that answered; no request was seen twice, or by somebody else.

mod answer;
mod books;
mod kind;
mod mix;
mod upload;

pub use answer::Answer;
pub use books::{Books, Page};
pub use kind::Kind;
pub use mix::Mix;
