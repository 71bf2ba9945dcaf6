//! Every kind of client, through planned replacements: nothing is lost, and the books of both sides balance.

use herder_e2e::deploy::{Deployed, Own, Program};
use herder_e2e::foreign::{BOOT, wait_for};
use herder_e2e::interpreter::Node;
use herder_e2e::load::Mix;
use herder_e2e::scene::Scene;

/// Workers that are replaced after a second; each of the two slots, twice.
#[expect(clippy::print_stdout, reason = "what a failure is judged by")]
fn balances(name: &str, program: Program) {
    let scene = Scene::new(name);
    let options = ["--max-lifetime", "1s", "--grace", "10s"];
    let deployed = Deployed::start(&scene, program, &options);
    let mix = Mix::of_all(deployed.address);
    wait_for(&deployed.herd, 0, 6, "ready", BOOT);
    mix.wait_for_answers_of_all(1, BOOT);
    let books = mix.finish();
    println!("{books}");
    books.assert_nothing_lost();
    books.assert_balanced(&deployed.book());
    assert!(deployed.herd.end().success());
    assert!(books.sent() > 200, "{books}");
}

#[test]
fn books_balance_through_recycling_by_node() {
    balances("load_node", Program::Node(Node::Version(20)));
}

#[test]
fn books_balance_through_recycling_by_python() {
    balances("load_python", Program::Python);
}

#[test]
fn books_balance_through_recycling_by_rust() {
    balances("load_native", Program::Native);
}

#[test]
fn books_balance_through_recycling_by_rust_that_accepts() {
    balances("load_shared", Program::NativeShared);
}

#[test]
fn kernel_and_reuseport_books_balance_through_recycling() {
    for own in [Own::Kernel, Own::Reuseport] {
        balances("load_own_python", Program::PythonOwn(own));
        balances("load_own_native", Program::NativeOwn(own));
    }
}

#[test]
fn kernel_and_reuseport_books_balance_through_recycling_by_node() {
    for own in [Own::Kernel, Own::Reuseport] {
        balances("load_own_node", Program::NodeOwn(Node::Version(24), own));
    }
}
