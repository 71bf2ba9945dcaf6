//! The hub with real socket pairs: the test is the master, the workers and the clients.

mod deaths;
mod faults;
mod flow;
mod life;
mod resync;
mod seed;
mod stage;
