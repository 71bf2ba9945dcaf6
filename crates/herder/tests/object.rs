//! `#[herder::object]` where users find it.

#![cfg(feature = "library")]

use herder::rpc::server::Object;
use herder::rpc::{MethodKind, client::Client};

/// Greetings.
#[herder::object]
trait PoliteGreeter {
    async fn greet(&self, name: String) -> String;
}

struct English;

impl PoliteGreeter for English {
    async fn greet(&self, name: String) -> String {
        format!("How do you do, {name}?")
    }
}

#[test]
fn an_object_needs_no_other_crate_than_herder() {
    let object = PoliteGreeterObject::new(English);
    let signature = object.signature();
    assert_eq!(signature, *PoliteGreeterClient::signature());
    assert_eq!(PoliteGreeterClient::NAME, "polite_greeter");
    assert_eq!(signature.methods["greet"].kind, MethodKind::Call);
}
