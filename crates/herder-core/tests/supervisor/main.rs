//! The supervisor, rule by rule, through its public face.

mod boot;
mod chaos;
mod done;
mod exhausted;
mod harness;
mod heartbeat;
mod lifecycle;
#[cfg(feature = "mutation")]
mod mutation;
mod recycle;
mod reload;
mod respec;
mod restart;
mod restore;
mod rollback;
mod rollout;
mod scale;
mod snapshot;
mod stop;
mod suicide;
