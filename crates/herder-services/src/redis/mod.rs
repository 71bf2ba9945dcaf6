//! State, bus and claims that several machines share: over one Redis or Valkey.
//!
//! There is one connection per host, in the library, for everything: commands, invalidations of
//! the cache (RESP3 *client tracking* in broadcast mode), messages of the bus. That it is one is
//! what makes the cache safe: a connection that no longer brings invalidations brings no answers
//! either. See <https://valkey.io/topics/client-side-caching/>.

mod cache;
mod claims;
mod guard;
mod link;
mod scripts;
mod space;
mod tally;

pub use cache::{Cache, Fill};
pub use claims::Claims;
pub use link::{Link, LinkError, News, Settings};
pub use space::Space;
pub use tally::Tally;
