use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use herder_core::proxy::{Balancer, BalancerSpec, Failure, Key, News, Outcome, Post};
use herder_core::rotation::Weight;
use herder_core::spec::PickerKind;
use herder_core::{Slot, Tick};

/// A balancer, and a clock.
pub(crate) struct Desk {
    pub(crate) balancer: Balancer,
    pub(crate) now: Tick,
}

pub(crate) fn spec(policy: PickerKind) -> BalancerSpec {
    BalancerSpec {
        policy,
        ..BalancerSpec::default()
    }
}

pub(crate) fn from(address: &str) -> Key {
    Key {
        client_ip: Some(address.parse::<IpAddr>().expect("an address")),
        cookie: None,
    }
}

pub(crate) fn with_cookie(slot: u16) -> Key {
    Key {
        client_ip: None,
        cookie: Some(Slot(slot)),
    }
}

impl Desk {
    /// With so many workers, worker 1 at slot 0.
    pub(crate) fn new(spec: &BalancerSpec, workers: u16) -> Desk {
        Desk::at(Post::ONLY, spec, workers)
    }

    /// One of several over the same workers.
    pub(crate) fn at(post: Post, spec: &BalancerSpec, workers: u16) -> Desk {
        let mut desk = Desk {
            balancer: Balancer::new(spec, 7).at(post),
            now: Tick::ZERO,
        };
        for slot in 0..workers {
            desk.admit(u64::from(slot) + 1, slot);
        }
        desk
    }

    pub(crate) fn admit(&mut self, worker: u64, slot: u16) {
        self.weigh(worker, slot, 1);
    }

    pub(crate) fn weigh(&mut self, worker: u64, slot: u16, weight: u8) {
        let weight = Weight::new(weight).expect("1 to 16");
        self.balancer.admit(worker, Slot(slot), weight, self.now);
    }

    pub(crate) fn wait(&mut self, seconds: u64) {
        self.now = self.now.after(Duration::from_secs(seconds));
    }

    /// A request that stays open.
    pub(crate) fn begin(&mut self, key: &Key) -> u64 {
        let worker = self.balancer.pick(key, &[], self.now).expect("somebody");
        self.balancer.began(worker);
        worker
    }

    pub(crate) fn end(&mut self, worker: u64) {
        self.balancer.ended(worker, Outcome::Served, self.now);
    }

    /// A request that is over before the next one.
    pub(crate) fn serve(&mut self, key: &Key) -> u64 {
        let worker = self.begin(key);
        self.end(worker);
        worker
    }

    /// Who served how many of so many requests.
    pub(crate) fn spread(&mut self, requests: u32) -> BTreeMap<u64, u32> {
        let mut served = BTreeMap::new();
        for _ in 0..requests {
            *served.entry(self.serve(&Key::default())).or_default() += 1;
        }
        served
    }

    /// So many requests fail at the worker.
    pub(crate) fn fail(&mut self, worker: u64, times: u32, failure: Failure) {
        for _ in 0..times {
            self.balancer.began(worker);
            self.balancer
                .ended(worker, Outcome::Failed(failure), self.now);
        }
    }

    pub(crate) fn news(&mut self) -> Vec<News> {
        std::iter::from_fn(|| self.balancer.poll_news()).collect()
    }
}
