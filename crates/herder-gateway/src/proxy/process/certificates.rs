//! What a proxy knows of its own names: certificates, and where they are spoken for.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use herder_wire::control::ToMaster;
use herder_wire::proxy::{CertificateFiles, Which};
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::control::{CertificateEnds, ControlFault, Inbox, Order};
use crate::proxy::settings::{Kind, TlsSettings};
use crate::proxy::tls::{Acceptor, OpenFiles, TlsError};

/// How long new files may be wrong until that is told: half of them may not be written yet.
const PATIENCE: Duration = Duration::from_secs(6);

/// Files as the master opens them, one certificate after the other, until a set is complete.
struct Gathering {
    wanted: usize,
    set: u32,
    open: Vec<OpenFiles>,
}

impl Gathering {
    fn new(settings: &TlsSettings) -> Gathering {
        Gathering {
            wanted: settings.certificates.len(),
            set: 0,
            open: Vec::new(),
        }
    }

    /// The set, when these are the last of it.
    fn take(
        &mut self,
        files: &CertificateFiles,
        open: Option<CertificateEnds>,
    ) -> Result<Option<Set>, ControlFault> {
        if files.place == 0 {
            self.set = files.set;
            self.open.clear();
        }
        let is_next = usize::from(files.place) == self.open.len() && files.set == self.set;
        if !is_next || self.open.len() >= self.wanted {
            return Err(ControlFault::Unexpected("Certificate"));
        }
        self.open.push(open_files(files, open));
        let is_complete = self.open.len() == self.wanted;
        Ok(is_complete.then(|| Set {
            number: self.set,
            files: std::mem::take(&mut self.open),
        }))
    }
}

/// The files of all certificates, as the master has opened them.
pub(super) struct Set {
    pub(super) number: u32,
    pub(super) files: Vec<OpenFiles>,
}

fn open_files(files: &CertificateFiles, open: Option<CertificateEnds>) -> OpenFiles {
    match (&files.unopened, open) {
        (None, Some(CertificateEnds { chain, key })) => OpenFiles::Both {
            certificate: File::from(chain),
            key: File::from(key),
        },
        (None, None) => OpenFiles::NoCertificate("the gateway has too many open files".to_owned()),
        (Some(unopened), _) => match unopened.which {
            Which::Chain => OpenFiles::NoCertificate(unopened.reason.clone()),
            Which::Key => OpenFiles::NoKey(unopened.reason.clone()),
        },
    }
}

/// The first set, which the master sends before anything else.
pub(super) async fn first(inbox: &mut Inbox, settings: &TlsSettings) -> Result<Set, ControlFault> {
    let mut gathering = Gathering::new(settings);
    loop {
        let order = inbox.next().await?;
        let name = order.name();
        let Order::Certificate { files, open } = order else {
            return Err(ControlFault::Unexpected(name));
        };
        if let Some(set) = gathering.take(&files, open)? {
            return Ok(set);
        }
    }
}

/// The certificates that serve, and those that are to.
pub(super) struct Certificates {
    app: String,
    gathering: Gathering,
    acceptor: Acceptor,
    /// How many sets have come; nobody speaks of one that was replaced.
    sets: Rc<Cell<u64>>,
    voice: Voice,
}

/// Where the master is told what becomes of a set.
pub(super) type Voice = mpsc::UnboundedSender<ToMaster>;

impl Certificates {
    /// Reads the first set. What should be seen to is said.
    pub(super) fn new(
        app: &str,
        settings: &TlsSettings,
        kind: Kind,
        set: &Set,
        voice: &Voice,
    ) -> Result<Certificates, TlsError> {
        let (acceptor, warnings) = Acceptor::new(settings, kind, &set.files)?;
        for warning in warnings {
            mention(app, &warning);
        }
        tell(voice, set.number, None);
        Ok(Certificates {
            voice: voice.clone(),
            app: app.to_owned(),
            gathering: Gathering::new(settings),
            acceptor,
            sets: Rc::default(),
        })
    }

    pub(super) fn acceptor(&self) -> Acceptor {
        self.acceptor.clone()
    }

    /// Other files are there. If they cannot be used those before them serve on, and if nothing better
    /// comes the master hears why. (It tells so once, however many find it.)
    pub(super) fn take(
        &mut self,
        files: &CertificateFiles,
        open: Option<CertificateEnds>,
    ) -> Result<(), ControlFault> {
        let Some(set) = self.gathering.take(files, open)? else {
            return Ok(());
        };
        let number = self.sets.get() + 1;
        self.sets.set(number);
        match self.acceptor.renew(&set.files) {
            Ok(warnings) => {
                warnings.iter().for_each(|it| mention(&self.app, it));
                tell(&self.voice, set.number, None);
            }
            Err(error) => {
                let (voice, sets) = (self.voice.clone(), Rc::clone(&self.sets));
                tokio::task::spawn_local(async move {
                    sleep(PATIENCE).await;
                    if sets.get() == number {
                        tell(&voice, set.number, Some(error.to_string()));
                    }
                });
            }
        }
        Ok(())
    }
}

/// Where clients are sent that speak HTTP without TLS: to the usual port, if it is one of the listeners',
/// else to that of the first.
pub(super) fn https_port<'a>(listeners: impl Iterator<Item = &'a str>) -> Option<u16> {
    const USUAL: u16 = 443;
    let ports = listeners.filter_map(|name| Some(name.parse::<SocketAddr>().ok()?.port()));
    let ports: Vec<u16> = ports.collect();
    let usual = ports.iter().find(|port| **port == USUAL);
    usual.or(ports.first()).copied()
}

fn tell(voice: &Voice, set: u32, fault: Option<String>) {
    // Who speaks ends with this process.
    let _unsaid = voice.send(ToMaster::Certificates { set, fault });
}

/// One line for the operator.
fn mention(app: &str, what: &dyn std::fmt::Display) {
    let _closed = writeln!(io::stderr(), "herder: gateway of {app}: {what}");
}
