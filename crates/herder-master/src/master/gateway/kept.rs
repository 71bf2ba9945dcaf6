//! Copies of certificates that lie with the keeper: those with which somebody could serve, for gateways that
//! the next master starts.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};

use herder_wire::keeper::{Key, Prefix};
use herder_wire::proxy::Which;

use super::Reception;
use super::certificates::{Open, Pair};
use super::sets::Set;
use crate::estate::{Treasury, Vault};

/// What another master has left, by the numbers of the sets.
#[derive(Default)]
pub(in crate::master) struct Kept(BTreeMap<u32, BTreeMap<u16, Halves>>);

#[derive(Default)]
struct Halves {
    chain: Option<OwnedFd>,
    key: Option<OwnedFd>,
}

impl Kept {
    /// Takes what there is.
    pub(in crate::master) fn find(treasury: &mut Treasury) -> Kept {
        let keys: Vec<_> = treasury.keys().copied().collect();
        let mut kept = Kept::default();
        for key in keys {
            if let Some((set, place, which)) = key.as_certificate() {
                let halves = kept.0.entry(set).or_default().entry(place).or_default();
                let half = match which {
                    Which::Chain => &mut halves.chain,
                    Which::Key => &mut halves.key,
                };
                *half = treasury.take(&key);
            }
        }
        kept
    }

    /// Of which sets something is there.
    pub(super) fn numbers(&self) -> BTreeSet<u32> {
        self.0.keys().copied().collect()
    }

    /// A set of so many certificates, if it is whole.
    pub(super) fn take(&mut self, set: u32, count: usize) -> Option<Vec<Pair>> {
        let places = self.0.remove(&set)?;
        let is_whole = places.len() == count && places.keys().copied().eq((0..).take(count));
        let pairs = places.into_values().map(|halves| {
            let (chain, key) = (halves.chain?, halves.key?);
            Some(Ok(Open { chain, key }))
        });
        pairs.collect::<Option<Vec<Pair>>>().filter(|_| is_whole)
    }
}

impl Reception {
    /// Puts sets that are good where the next master finds them, before it is told that they are there.
    pub(in crate::master) fn keep_certificates(&mut self, vault: &Vault) {
        let former = self.former.as_ref().map(|former| &former.settings);
        let all = [Some(&self.settings), former].into_iter().flatten();
        for set in all.filter_map(|settings| settings.certificates.good()) {
            if self.kept.insert(set.number) {
                store(set, vault);
            }
        }
    }

    /// Forgets the sets that what is written down now does not name.
    pub(in crate::master) fn forget_certificates(&mut self, vault: &Vault) {
        let former = self.former.as_ref().map(|former| &former.settings);
        let all = [Some(&self.settings), former].into_iter().flatten();
        let needed = all.filter_map(|settings| settings.certificates.good());
        let needed: BTreeSet<_> = needed.map(|set| set.number).collect();
        for set in self.kept.difference(&needed) {
            vault.forget_all(&Prefix::certificates(*set));
        }
        self.kept = needed;
    }
}

fn store(set: &Set<Vec<Pair>>, vault: &Vault) {
    for (place, pair) in (0..).zip(&*set.files) {
        let Ok(open) = pair else { continue };
        for (which, file) in [(Which::Chain, &open.chain), (Which::Key, &open.key)] {
            // What cannot be stored is lost with this master.
            let _unstored =
                vault.store(&Key::certificate(set.number, place, which), file.as_fd(), 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use herder_sys::memory;

    use super::*;

    fn half() -> Option<OwnedFd> {
        Some(memory::sealed(b"x").expect("memory"))
    }

    fn kept(places: impl IntoIterator<Item = (u16, Halves)>) -> Kept {
        Kept(BTreeMap::from([(7, places.into_iter().collect())]))
    }

    fn whole() -> Halves {
        let (chain, key) = (half(), half());
        Halves { chain, key }
    }

    #[test]
    fn a_set_is_taken_once_and_as_a_whole() {
        let mut all = kept([(0, whole()), (1, whole())]);
        assert_eq!(all.numbers(), BTreeSet::from([7]));
        assert_eq!(all.take(7, 2).map(|pairs| pairs.len()), Some(2));
        assert!(all.take(7, 2).is_none());
    }

    #[test]
    fn what_is_not_whole_is_no_set() {
        let without_key = Halves {
            chain: half(),
            key: None,
        };
        assert!(kept([(0, without_key)]).take(7, 1).is_none());
        assert!(kept([(1, whole())]).take(7, 1).is_none(), "another place");
        assert!(kept([(0, whole())]).take(7, 2).is_none(), "one is missing");
        assert!(kept([(0, whole())]).take(8, 1).is_none(), "another set");
    }
}
