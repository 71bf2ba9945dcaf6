//! What a proxy costs, beside nginx and HAProxy as reverse proxies.
//!
//! Two workers stand behind each proxy, and the same clients ask each in its turn. What counts is the
//! processor time of the proxy's processes for a request, and how much longer an answer takes than
//! without a proxy. One process of each proxies, so that what is compared is the work and not the number
//! of those who share it.
//!
//! - [`Part`]: what the clients do;
//! - [`Rival`]: who takes part, and how each is started;
//! - [`ProxyContest`]: all of them, interleaved;
//! - [`report`]: the table;
//! - [`worker`]: who answers behind the proxies.

mod contest;
mod part;
pub mod report;
mod rival;
pub mod worker;

pub use contest::{ProxyContest, Toll};
pub use part::{Kind, Part};
pub use rival::Rival;
