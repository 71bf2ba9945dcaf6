//! What a line means after those before it.

use herder_api::control::{Incident, Reason};

use super::Told;

/// The incidents that lines tell, the oldest first.
///
/// A worker that was to end is told twice: that it ended, and that its slot is done with it. And a herd
/// that ends because its keeper was killed ends as if somebody had stopped it, but nobody has.
pub(super) fn related(told: Vec<Told>) -> Vec<Incident> {
    let mut incidents: Vec<Incident> = Vec::with_capacity(told.len());
    let mut is_orphaned = false;
    for Told {
        mut incident,
        event,
    } in told
    {
        match event.as_str() {
            "keeper_gone" => is_orphaned = true,
            "app_retried" | "app_started" | "app_stopped" | "took_over" => is_orphaned = false,
            "exited" | "shutting_down" if is_orphaned && incident.reason == Reason::Operator => {
                incident.reason = Reason::Master;
            }
            "done" => {
                if let Some(ended) = take_end(&mut incidents, incident.slot) {
                    incident.id = incident.id.or(ended.id);
                }
            }
            _ => {}
        }
        incidents.push(incident);
    }
    incidents
}

/// How the last worker of a slot ended, if nothing was told of the slot since.
fn take_end(incidents: &mut Vec<Incident>, slot: Option<u16>) -> Option<Incident> {
    let place = incidents.iter().rposition(|it| it.slot == slot)?;
    let is_end = matches!(incidents[place].reason, Reason::Crash | Reason::Done);
    is_end.then(|| incidents.remove(place))
}
