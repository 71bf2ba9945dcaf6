//! Node's own primary as the measure of herder.

use crate::node::cluster::{Case, Cluster, ClusterSetup, Primary};
use crate::scene::Scene;
use serde_json::Value;

/// Runs `play` with `count` actors under each primary, and returns what Node's own has led to.
///
/// # Panics
/// When herder has led to anything else. What cannot be the same is [`masked`] first.
#[track_caller]
pub fn compare(
    scene: &Scene,
    case: Case,
    count: usize,
    mut play: impl FnMut(&Cluster) -> Value,
) -> Value {
    let [node, herder] = Primary::BOTH.map(|primary| found(scene, primary, case, count, &mut play));
    assert_eq!(
        herder, node,
        "herder (left) and Node's own primary, {case:?}"
    );
    node
}

/// What `play` leads to with `count` actors under this primary, [`masked`].
#[track_caller]
pub fn found(
    scene: &Scene,
    primary: Primary,
    case: Case,
    count: usize,
    play: impl FnOnce(&Cluster) -> Value,
) -> Value {
    let setup = ClusterSetup::new(scene, primary, case, "actor.js", count);
    let cluster = setup.start();
    let found = masked(play(&cluster));
    cluster.end();
    found
}

/// Without what is another number each time: each `pid` and `port` above 0 is 1.
pub fn masked(value: Value) -> Value {
    match value {
        Value::Array(values) => values.into_iter().map(masked).collect(),
        Value::Object(fields) => {
            let field = |(name, value): (String, Value)| {
                let varies = matches!(name.as_str(), "pid" | "port");
                let is_set = value.as_i64().is_some_and(|number| number > 0);
                let value = if varies && is_set {
                    Value::from(1)
                } else {
                    masked(value)
                };
                (name, value)
            };
            fields.into_iter().map(field).collect()
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ports_and_pids_are_masked_wherever_they_are() {
        let value = json!([{"pid": 77, "address": "::1"}, {"a": {"port": 8080}}, {"port": -1}]);
        let expected = json!([{"pid": 1, "address": "::1"}, {"a": {"port": 1}}, {"port": -1}]);
        assert_eq!(masked(value), expected);
    }
}
