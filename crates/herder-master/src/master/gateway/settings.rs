//! By what settings gateways work, and what the next master has to know of them: those that the herd's
//! definition names are not always those that gateways have taken up.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::PathBuf;

use herder_core::spec::WorkerCount;
use herder_core::{Generation, WorkerId};
use herder_wire::gateway::ToGateway;
use serde::{Deserialize, Serialize};

use super::certificates::{Certificates, CertificatesState};
use super::kept::Kept;
use super::setup::count;
use crate::config::{Certificate, Proxy};
use crate::master::legacy::PathState;

/// By what settings gateways work.
pub(super) struct Settings {
    /// What each is told after the welcome.
    pub(super) configuration: ToGateway,
    /// Of a proxy that speaks TLS.
    pub(super) certificates: Certificates,
    /// How many there are to be.
    pub(super) count: WorkerCount,
    /// Whose they are.
    pub(super) generation: Generation,
}

/// What holds again if gateways cannot work by other settings.
pub(super) struct Former {
    pub(super) settings: Settings,
    /// Those that worked by others even then.
    pub(super) outdated: BTreeSet<WorkerId>,
}

/// Settings of a proxy, written down.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(in crate::master) struct SettingsState<'a> {
    text: Cow<'a, str>,
    gateways: WorkerCount,
    generation: Generation,
    /// Of each certificate the chain and the key.
    files: Vec<[PathState<'a>; 2]>,
    certificates: CertificatesState<'a>,
}

/// [`Former`] ones, written down.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(in crate::master) struct FormerState<'a> {
    settings: SettingsState<'a>,
    outdated: BTreeSet<WorkerId>,
}

impl Settings {
    /// Those of a proxy. `set`: the number of its first set of certificates.
    pub(super) fn new(
        configuration: ToGateway,
        proxy: &Proxy,
        generation: Generation,
        set: u32,
    ) -> Settings {
        Settings {
            configuration,
            certificates: Certificates::open(&proxy.certificates, set),
            count: count(proxy),
            generation,
        }
    }

    /// For the next master; `None` where nothing of it can change.
    pub(super) fn state(&self) -> Option<SettingsState<'_>> {
        let ToGateway::Proxy(text) = &self.configuration else {
            return None;
        };
        let files = self.certificates.files().iter();
        Some(SettingsState {
            text: String::from_utf8_lossy(text),
            gateways: self.count,
            generation: self.generation,
            files: files
                .map(|it| [it.chain.as_path().into(), it.key.as_path().into()])
                .collect(),
            certificates: self.certificates.state(),
        })
    }

    /// These are what the definition says that holds: what another master has left counts for more. What it
    /// has taken from the same definition is said in the words of this build.
    pub(super) fn or_left(self, left: Option<SettingsState<'_>>, kept: &mut Kept) -> Settings {
        let Some(left) = left else {
            return self;
        };
        let is_same = left.generation == self.generation;
        let left = Settings::left(left, kept);
        if !is_same {
            return left;
        }
        if left.certificates.files() != self.certificates.files() {
            return self;
        }
        Settings {
            certificates: left.certificates,
            ..self
        }
    }

    fn left(left: SettingsState<'_>, kept: &mut Kept) -> Settings {
        let files = left.files.into_iter().map(|[chain, key]| Certificate {
            chain: PathBuf::from(chain),
            key: PathBuf::from(key),
        });
        let files: Vec<_> = files.collect();
        Settings {
            configuration: ToGateway::Proxy(left.text.into_owned().into_bytes()),
            certificates: Certificates::reopen(&files, &left.certificates, kept),
            count: left.gateways,
            generation: left.generation,
        }
    }
}

impl Former {
    /// For the next master.
    pub(super) fn state(&self) -> Option<FormerState<'_>> {
        Some(FormerState {
            settings: self.settings.state()?,
            outdated: self.outdated.clone(),
        })
    }

    /// As another master has left them.
    pub(super) fn left(left: FormerState<'_>, kept: &mut Kept) -> Former {
        Former {
            settings: Settings::left(left.settings, kept),
            outdated: left.outdated,
        }
    }
}

#[cfg(test)]
mod tests {
    use herder_core::{Incarnation, Slot};

    use super::*;
    use crate::config::{ProxyReady, Via};

    fn proxy(text: &str, gateways: u16) -> Proxy {
        let certificate = Certificate {
            chain: "/no/such.crt".into(),
            key: "/no/such.key".into(),
        };
        Proxy {
            settings: text.to_owned(),
            gateways,
            via: Via::default(),
            ready: ProxyReady::default(),
            certificates: vec![certificate],
        }
    }

    fn settings(text: &str, gateways: u16, generation: u32) -> Settings {
        let configuration = ToGateway::Proxy(text.into());
        Settings::new(
            configuration,
            &proxy(text, gateways),
            Generation(generation),
            1,
        )
    }

    fn read<T: serde::de::DeserializeOwned>(written: &impl Serialize) -> T {
        let text = serde_json::to_string(written).expect("it can be written");
        serde_json::from_str(&text).expect("it can be read")
    }

    #[test]
    fn the_next_master_goes_on_with_what_gateways_have_taken_up() {
        let left: Option<SettingsState<'static>> = read(&settings("old", 1, 1).state());
        let now = settings("new", 3, 2).or_left(left, &mut Kept::default());
        assert_eq!(now.configuration, ToGateway::Proxy(b"old".to_vec()));
        assert_eq!((now.count.count(), now.generation), (1, Generation(1)));
        let files: Vec<_> = now.certificates.files().to_vec();
        assert_eq!(files, proxy("", 1).certificates);
    }

    #[test]
    fn what_is_of_the_same_definition_is_said_as_this_build_says_it() {
        let left = settings("an earlier build's words", 2, 4);
        let now = settings("ours", 2, 4).or_left(left.state(), &mut Kept::default());
        assert_eq!(now.configuration, ToGateway::Proxy(b"ours".to_vec()));
        // An earlier build has left nothing.
        let now = settings("ours", 2, 4).or_left(None, &mut Kept::default());
        assert_eq!(now.configuration, ToGateway::Proxy(b"ours".to_vec()));
    }

    #[test]
    fn what_holds_again_after_a_failure_outlives_the_master_that_began() {
        let gateway = WorkerId {
            slot: Slot(1),
            incarnation: Incarnation(7),
        };
        let former = Former {
            settings: settings("old", 1, 1),
            outdated: BTreeSet::from([gateway]),
        };
        let written = read::<Option<FormerState<'static>>>(&former.state());
        let again = Former::left(written.expect("a proxy's"), &mut Kept::default());
        let (now, before) = (&again.settings, &former.settings);
        assert_eq!(now.configuration, before.configuration);
        assert_eq!(now.certificates.files(), before.certificates.files());
        assert_eq!(
            (now.count, now.generation),
            (before.count, before.generation)
        );
        assert!(again.outdated.contains(&gateway));
    }
}
