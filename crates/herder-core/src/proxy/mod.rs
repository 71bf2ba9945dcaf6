//! Who gets a request, in `proxy` mode: see [`Balancer`] and [`retry`].

mod backend;
mod balancer;
mod ejection;
mod key;
mod message;
mod network;
mod picking;
pub mod retry;
mod spec;

pub use balancer::{Balancer, Post};
pub use key::{Key, SlotCookie};
pub use message::{Failure, News, Outcome};
pub use network::{BadNetwork, Network};
pub use spec::{BalancerSpec, EjectionSpec, ErrorRatio, ServerErrors};
