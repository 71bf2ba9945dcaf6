//! Other settings for gateways that serve: others take their place, and the workers notice nothing. And how
//! long those have who leave.

use std::time::Duration;

use herder_core::Generation;
use herder_core::spec::WorkerCount;
use herder_core::supervisor::{DrainReason, Event, Phase};
use herder_wire::gateway::ToGateway;

use super::certificates::Certificates;
use super::settings::{Former, Settings};
use super::setup::{MessageError, commission, grace};
use crate::config::Config;
use crate::event::HerdEvent;
use crate::master::crew::{Crew, MemberId};
use crate::master::delivery::Delivery;
use crate::master::{Master, auto, millis};
use crate::part::Part;

/// Finds out whether gateways could be started with these settings.
///
/// # Errors
/// When they could not.
pub(in crate::master) fn check_renewal(config: &Config) -> Result<(), MessageError> {
    match &config.proxy {
        Some(proxy) => {
            commission(proxy)?;
            Certificates::open(&proxy.certificates, 1).check()
        }
        None => Ok(()),
    }
}

impl Master {
    /// This generation is in service: if gateways are to work otherwise by its settings, others take their
    /// place, one by one.
    pub(in crate::master) fn renew_gateways(&mut self, generation: Generation) {
        let Some(proxy) = self.editions.get(generation).kit().proxy.clone() else {
            return;
        };
        let Delivery::Gateway(reception) = &mut self.delivery else {
            return;
        };
        let configuration = match commission(&proxy) {
            Ok(configuration) if configuration == reception.settings.configuration => {
                reception.settings.generation = generation;
                return;
            }
            Ok(configuration) => configuration,
            Err(error) => return self.gateways_stay(&error.to_string()),
        };
        let set = reception.settings.certificates.next();
        let settings = Settings::new(configuration, &proxy, generation, set);
        let count = settings.count;
        let present = reception.roster.gateways().collect();
        reception.settings.certificates.rest();
        let former = Former {
            settings: std::mem::replace(&mut reception.settings, settings),
            outdated: std::mem::replace(&mut reception.outdated, present),
        };
        let were_one = former.settings.count.count() == 1;
        let share = were_one && count.count() > 1 && reception.berths.is_none();
        // Of two changes in a row the first one's serve until all is done.
        reception.former.get_or_insert(former);
        if share {
            self.tell_that_gateways_share(count.count());
        }
        self.scale_gateways(count);
        self.feed(Part::Gateway, Event::Reload { generation });
    }

    /// The herd began with one listener, of which no other can be made: it is bound, and who waits there would be
    /// lost with it.
    fn tell_that_gateways_share(&self, count: u16) {
        let text = match auto::missing() {
            None => format!(
                "{count} gateways share the listeners, for the herd began with one; after a restart each has \
                 its own, unless they are passed to the herd"
            ),
            Some(why) => format!("{count} gateways share the listeners: {why}"),
        };
        self.tell(HerdEvent::Warning { text });
    }

    fn scale_gateways(&mut self, count: WorkerCount) {
        let size = |crew: &Crew| crew.supervisor.size();
        if self.crews.get(Part::Gateway).map(size) != Some(count.count()) {
            self.feed(Part::Gateway, Event::Scale(count));
        }
    }

    /// All gateways work by the new settings.
    pub(in crate::master) fn gateways_renewed(&mut self) {
        if let Delivery::Gateway(reception) = &mut self.delivery {
            reception.former = None;
            self.touch();
        }
    }

    /// Gateways cannot work by the new settings: those that serve go on.
    pub(in crate::master) fn gateways_stay(&mut self, why: &str) {
        if let Delivery::Gateway(reception) = &mut self.delivery
            && let Some(former) = reception.former.take()
        {
            let count = former.settings.count;
            let next = reception.settings.certificates.next();
            reception.settings = former.settings;
            reception.settings.certificates.count_from(next);
            reception.outdated = former.outdated;
            self.scale_gateways(count);
            self.touch();
        }
        self.watch_certificates();
        let text = format!("the gateways stay as they were: {why}");
        self.tell(HerdEvent::Warning { text });
    }

    /// Whether a gateway works by the settings that hold, and will.
    pub(super) fn is_up_to_date(&self, gateway: MemberId) -> bool {
        let leaves = matches!(self.crews.phase(gateway), Some(Phase::Draining { .. }));
        match &self.delivery {
            Delivery::Gateway(reception) => {
                !leaves && !reception.outdated.contains(&gateway.worker)
            }
            Delivery::Thread(..) => false,
        }
    }

    /// How long a gateway may take to leave. Its clients have as long as anybody, unless all end.
    pub(in crate::master) fn gateways_grace(&self, reason: DrainReason) -> Duration {
        let life = &self.spec.life;
        if self.is_proxy() && reason != DrainReason::Stop {
            life.grace
        } else {
            grace(life)
        }
    }

    /// The workers have ended: the keeper does not wait for long any more, also for gateways that leave
    /// already.
    pub(super) fn hasten_gateways(&mut self) {
        let grace = grace(&self.spec.life);
        self.give_gateways(grace);
        let grace_millis = millis(grace);
        let proxies = if self.is_proxy() {
            self.gateways()
        } else {
            Vec::new()
        };
        for gateway in proxies {
            self.say(gateway, &ToGateway::Drain { grace_millis });
        }
    }

    /// Gateways that forward have so long to leave from now on.
    pub(in crate::master) fn give_gateways(&mut self, grace: Duration) {
        if let Some(crew) = self.crews.get(Part::Gateway).filter(|_| self.is_proxy()) {
            let mut spec = crew.supervisor.spec().clone();
            spec.life.grace = grace;
            self.feed(Part::Gateway, Event::Respec(Box::new(spec.policies())));
        }
    }

    fn is_proxy(&self) -> bool {
        match &self.delivery {
            Delivery::Gateway(reception) => reception.vigil.is_some(),
            Delivery::Thread(..) => false,
        }
    }
}
