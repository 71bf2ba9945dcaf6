//! What is missing is named.

use herder_core::rotation::Steering;
use herder_sys::bpf;

use super::super::Group;
use super::stage::spec;

#[test]
fn without_the_right_it_is_named() {
    let any = "127.0.0.1:0".parse().expect("an address");
    let bound = Group::bind(&spec(Steering::Program), any);
    match (bpf::probe(), bound) {
        (Ok(()), bound) => assert!(bound.is_ok()),
        (Err(refusal), bound) => {
            let text = bound.err().expect("refused").to_string();
            assert_eq!(text, refusal.to_string());
        }
    }
    // The other mode needs none.
    assert!(Group::bind(&spec(Steering::Hash), any).is_ok());
}
