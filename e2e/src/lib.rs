//! The kit of the tests that run real processes.
//!
//! A test makes a [`scene::Scene`], which has a private directory and an identity; starts herds in it
//! ([`herd::Herd`]); sends them traffic whose every request ([`client::Load`]) or message ([`message::Crowd`])
//! is accounted for; and when the scene is dropped, it fails the test if anything was left behind ([`baseline`]).
//!
//! Every wait has a deadline and a name ([`mod@wait`]), so that a test that hangs says on what.
//! The kit is for tests and benchmarks: where a test would have to give up, it panics with the reason.

#![forbid(unsafe_code)]

pub mod autobahn;
pub mod baseline;
pub mod binary;
pub mod build;
pub mod caller;
pub mod client;
pub mod deploy;
pub mod dice;
pub mod fault;
pub mod foreign;
pub mod herd;
pub mod interpreter;
pub mod jobs;
pub mod library;
pub mod lineage;
pub mod load;
pub mod machines;
pub mod manager;
pub mod message;
pub mod native;
pub mod node;
pub mod order;
pub mod process;
pub mod proxy;
pub mod scene;
pub mod wait;
