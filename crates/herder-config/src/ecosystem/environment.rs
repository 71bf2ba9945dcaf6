//! Variables.

use std::collections::BTreeMap;

use herder_api::App;
use herder_api::app::{EnvMode, Scalar};

use super::reader::Reader;
use super::values;
use crate::node::Node;

pub(super) fn environment(reader: &mut Reader<'_>, app: &mut App) {
    if let Some((_, node)) = reader.node(&["env"]) {
        app.env = variables(reader, "env", node);
    }
    for entry in reader.entries() {
        let profile = entry
            .name
            .strip_prefix("env_")
            .filter(|profile| !profile.is_empty());
        let Some(profile) = profile.filter(|_| !entry.node.is_null()) else {
            continue;
        };
        let variables = variables(reader, &entry.name, &entry.node);
        app.profiles.insert(profile.to_owned(), variables);
    }
    port(reader, app);
    if let Some((key, node)) = reader.node(&["filter_env"]) {
        match (values::truth(node), values::texts(node)) {
            (Ok(true), _) => app.env_mode = EnvMode::Clean,
            (Ok(false), _) => {}
            (Err(_), Ok(names)) => {
                let names = names.into_iter().filter(|name| !name.is_empty());
                app.env_remove = names.collect();
            }
            (Err(_), Err(why)) => reader.wrong(node.at, format!("{key}: {why}")),
        }
    }
    app.instance_var = reader.take(&["instance_var"], values::text);
    app.increment_var = reader.take(&["increment_var"], values::text);
}

/// The port that an app is told, unless its environment says another.
fn port(reader: &mut Reader<'_>, app: &mut App) {
    if let Some(port) = reader.take(&["port"], values::integer) {
        app.env
            .entry("PORT".to_owned())
            .or_insert(Scalar::Integer(port));
    }
}

fn variables(reader: &mut Reader<'_>, key: &str, node: &Node) -> BTreeMap<String, Scalar> {
    let Some(table) = node.table() else {
        reader.wrong(
            node.at,
            format!("{key}: it has to be an object of variables"),
        );
        return BTreeMap::new();
    };
    let value =
        |entry: &crate::node::Entry| Some((entry.name.clone(), values::scalar(&entry.node)?));
    table.iter().filter_map(value).collect()
}
