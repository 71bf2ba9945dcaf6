//! Groups with real workers and real clients.
//!
//! In `kernel` mode they need CAP_BPF: without it they find that the missing right is named.

mod dying;
mod handing_on;
mod rights;
mod stage;
mod taking_turns;

use herder_core::rotation::Steering;

/// A worker: it accepts from its standard input, and says its name to everybody. It is started by
/// the other tests, and without a name it is none.
#[test]
#[ignore = "a worker of the other tests"]
fn worker_process() {
    if let Some(name) = std::env::var_os(stage::NAME) {
        stage::work(name.as_encoded_bytes());
    }
}

/// Runs a test in both modes, as far as they are possible here.
fn in_both(test: fn(Steering)) {
    test(Steering::Program);
    test(Steering::Hash);
}
