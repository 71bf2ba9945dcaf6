//! How much memory an idle herd needs.

use crate::variant::start_herd;
use herder_e2e::client::Load;
use herder_e2e::process;
use herder_e2e::scene::Scene;
use serde::Serialize;

/// The resident memory of one process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Resident {
    /// Its title.
    pub title: String,
    /// Bytes in RAM, those shared with other processes included.
    pub bytes: u64,
}

/// The resident memory of every process of a herd with `workers` native workers that have all started and served,
/// and now have nothing to do; the largest first.
pub fn of_idle_herd(workers: usize) -> Vec<Resident> {
    let scene = Scene::new("memory");
    let server = start_herd(&scene, "pass", workers);
    Load::http(server.address, "/")
        .count(100)
        .run()
        .assert_no_failure();
    let resident = |process: process::Process| {
        process::resident_bytes(process.pid).map(|bytes| Resident {
            title: process.title,
            bytes,
        })
    };
    let mut all: Vec<Resident> = server
        .herd
        .descendants()
        .into_iter()
        .filter_map(resident)
        .collect();
    server.herd.end();
    all.sort_by_key(|resident| std::cmp::Reverse(resident.bytes));
    all
}
