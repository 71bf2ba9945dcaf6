//! `herder complete`: what a shell asks for.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Outcome;
use super::context::Context;
use crate::completion::is_plain;

/// How long somebody may have to wait for a line to be completed.
const PATIENCE: Duration = Duration::from_millis(50);

/// Print the names of apps and namespaces, for shells. No daemon is started, and nobody waits for one.
#[derive(clap::Args, Debug)]
#[command(hide = true)]
pub(crate) struct Args {}

pub(crate) fn run(_: Args, context: &Context) -> Outcome {
    let mut names = BTreeSet::new();
    let asked = context.wait(async {
        let client = context.client_as_is();
        if let Ok(Ok(apps)) = tokio::time::timeout(PATIENCE, client.apps(&[])).await {
            names.insert("all".to_owned());
            names.extend(apps.into_iter().flat_map(|app| [app.name, app.namespace]));
        }
        Ok(())
    });
    // In the middle of somebody's line there is nobody to complain to.
    drop(asked);
    let names = names.iter().filter(|name| is_plain(name));
    let lines: String = names.map(|name| format!("{name}\n")).collect();
    Ok(context.screen.print(&lines)?)
}
