//! Scenarios of Node's cluster: what a worker is, and what it hears. Node's own primary is the measure.

use herder_e2e::node::{Case, compare};
use herder_e2e::scene::Scene;
use serde_json::json;

fn scenario_04(cases: &[Case]) {
    let scene = Scene::new("scenario_04");
    for case in cases {
        let found = compare(&scene, *case, 2, |cluster| {
            let ids = [1, 2].map(|id| {
                cluster.actor(id).run(
                    "const { env } = process;
                     return [cluster.isWorker, cluster.isPrimary, cluster.isMaster, cluster.worker.id,
                       cluster.worker.state, cluster.worker.isConnected(), typeof process.channel,
                       typeof cluster.fork, typeof cluster.settings, typeof cluster.workers,
                       typeof cluster.schedulingPolicy, env.NODE_APP_INSTANCE,
                       Object.keys(env).filter((name) => /^NODE_(CHANNEL|UNIQUE)/.test(name))];",
                )
            });
            json!(ids)
        });
        assert_eq!(found[0][0], true);
    }
}

#[test]
fn scenario_04_worker_info() {
    scenario_04(&Case::USUAL);
}

#[test]
#[ignore = "three more versions of Node"]
fn scenario_04_worker_info_all() {
    scenario_04(&Case::OTHERS);
}
