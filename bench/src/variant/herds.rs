//! Herds, and the bare loops they are measured by.

use super::peers::{self, NODE_WORKER, node_program};
use super::server::{LeftOut, START, Server, announcement};
use super::{Dispatch, Variant};
use crate::bare::{Role, WORKERS};
use herder_e2e::binary::Binary;
use herder_e2e::herd::{Herd, Setup};
use herder_e2e::interpreter::Node;
use herder_e2e::process::Process;
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use std::env;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The herd with native workers.
const HERD: Binary = Binary::new("herder-bench", "bench-worker");
/// The program that plays the roles of bare loops.
const OWN: Binary = Binary::new("herder-bench", "herder-bench");

pub(super) fn start_native(scene: &Scene, dispatch: Dispatch) -> Result<Server, LeftOut> {
    let name = dispatch.policy().unwrap_or(dispatch.mode());
    let setup = scene.herd(HERD).arg(WORKERS.to_string()).arg(name);
    Server::of_herd(setup.start(), Variant::HerderNative(dispatch))
}

pub(super) fn start_node(
    scene: &Scene,
    version: u8,
    dispatch: Dispatch,
) -> Result<Server, LeftOut> {
    let node = Node::Version(version).program();
    let setup = run(scene, dispatch)
        .arg("--interpreter")
        .arg(node)
        .arg(node_program(NODE_WORKER));
    Server::of_herd(setup.start(), Variant::HerderNode(version, dispatch))
}

pub(super) fn start_uvicorn(scene: &Scene, dispatch: Dispatch) -> Result<Server, LeftOut> {
    let python = peers::python("uvicorn")?;
    let setup = run(scene, dispatch)
        .args(["-l", "127.0.0.1:0", "--ready-after", "300ms", "--"])
        .arg(python)
        .args(peers::UVICORN)
        .args(["--fd", "3"]);
    Server::of_herd(setup.start(), Variant::HerderUvicorn(dispatch))
}

/// `herder run` with two workers.
fn run(scene: &Scene, dispatch: Dispatch) -> Setup {
    let setup = scene.herd(Binary::HERDER).arg("run");
    let setup = setup.args(["-i", &WORKERS.to_string(), "--dispatch", dispatch.mode()]);
    match dispatch.policy() {
        Some(policy) => setup.args(["--policy", policy]),
        None => setup,
    }
}

pub(super) fn start_bare(scene: &Scene, role: Role) -> Result<Server, LeftOut> {
    Server::announced(bare(scene, role))
}

pub(super) fn start_echo(scene: &Scene) -> Result<Server, LeftOut> {
    let herd = bare(scene, Role::Echo);
    Ok(Server {
        address: address(&herd),
        before: Vec::new(),
        front: vec![herd.pid()],
        herd,
        workers: Vec::new(),
    })
}

pub(super) fn start_messages(scene: &Scene) -> Result<Server, LeftOut> {
    Ok(start_herd(scene, "messages", WORKERS))
}

fn bare(scene: &Scene, role: Role) -> Herd {
    scene.program(own_program()).arg(role.name()).start()
}

/// This program, also when a test asks.
pub(crate) fn own_program() -> PathBuf {
    let own = env::current_exe().expect("/proc is mounted");
    if own.file_name().is_some_and(|name| name == OWN.name()) {
        own
    } else {
        OWN.path()
    }
}

/// Starts a herd of native workers in `scene` and waits until it serves.
pub fn start_herd(scene: &Scene, dispatch: &str, workers: usize) -> Server {
    let herd = scene
        .herd(HERD)
        .arg(workers.to_string())
        .arg(dispatch)
        .start();
    let address = address(&herd);
    let is_worker = |process: &Process| process.title.starts_with("herder: worker");
    let (workers, others) = wait::until(START, "all workers run", || {
        let (found, others): (Vec<_>, Vec<_>) = herd.descendants().into_iter().partition(is_worker);
        (found.len() == workers).then(|| (pids(&found), pids(&others)))
    });
    let gateway = pids(&herd.titled("herder: gateway"));
    Server {
        address,
        herd,
        before: others
            .into_iter()
            .filter(|pid| !gateway.contains(pid))
            .collect(),
        front: gateway,
        workers,
    }
}

fn address(herd: &Herd) -> SocketAddr {
    herd.wait_for_line("where it listens", START, announcement)
}

fn pids(processes: &[Process]) -> Vec<i32> {
    processes.iter().map(|process| process.pid).collect()
}
