//! Several machines that share a store.
//!
//! | module | what it holds |
//! |---|---|
//! | `store` | a Redis or Valkey of the test's own |
//! | `network` | network namespaces that stand for machines |
//! | `machine` | a herd of `test-machine` on one of them |
//! | `resource` | what a job writes to: it checks the token |

mod machine;
mod network;
mod resource;
mod store;

pub use machine::{Machine, TEST_MACHINE};
pub use network::{Cable, Host, Network};
pub use resource::{Access, Caught, Moment, Resource, Tick};
pub use store::Store;
