//! What the guard tells the service manager of the daemon.

use std::ffi::OsString;
use std::io;
use std::time::{Duration, Instant};

use herder_sys::manager::Voice;
use herder_sys::signal::Signal;

use super::ward::Ward;
use crate::complain;
use crate::part::{Managed, Service};
use crate::sign::Sign;

/// How much longer the manager is asked to wait, at each sign of life, while something lasts.
const MORE: Duration = Duration::from_secs(60);

/// What the manager knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Known {
    /// Nothing yet.
    #[default]
    Nothing,
    /// That the daemon is ready.
    Ready,
    /// That it reloads.
    Reloading,
    /// That it ends.
    Stopping,
}

/// What the service manager is told.
#[derive(Debug, Default)]
pub(super) struct Told {
    voice: Voice,
    managed: Option<Managed>,
    known: Known,
    /// Somebody wanted a reload when there was no daemon proper.
    owes_reload: bool,
}

impl Told {
    pub(super) fn new(service: Service) -> Told {
        Told {
            voice: service.voice,
            managed: service.managed,
            ..Told::default()
        }
    }

    /// What the daemon proper has to know of it.
    pub(super) fn managed(&self) -> Option<Managed> {
        self.managed
    }

    /// What a guard has to know that this process becomes.
    pub(super) fn variables(&self) -> impl Iterator<Item = (OsString, OsString)> {
        let managed = self.managed.map(Managed::variable);
        self.voice.variables().iter().cloned().chain(managed)
    }

    /// When there is something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.voice.deadline()
    }

    /// Does what is due: the daemon lives if the guard does, and the daemon proper does or is about to.
    pub(super) fn turn(&mut self, ward: Option<&mut Ward>) {
        let now = Instant::now();
        report(self.voice.retry(now));
        let is_due =
            self.voice.patience().is_some() && self.voice.deadline().is_some_and(|at| at <= now);
        if !is_due {
            return;
        }
        if ward.is_some_and(|ward| !ward.is_well()) {
            complain("the daemon does not answer any more, and is ended");
        }
        // One that hangs is replaced by us: the manager need not do more.
        self.voice.beat(now);
    }

    /// The daemon proper answers. Says whether it is to be told to reload.
    pub(super) fn is_ready(&mut self) -> bool {
        if self.known != Known::Stopping {
            self.known = Known::Ready;
            self.say("READY=1\nSTATUS=the daemon answers");
        }
        std::mem::take(&mut self.owes_reload)
    }

    /// What the daemon proper is told by a signal, if there is one.
    pub(super) fn signal(&mut self, signal: Signal, is_there: bool) {
        let ends = [Signal::Terminate, Signal::Interrupt, Signal::Quit];
        if ends.contains(&signal) {
            self.stopping();
        }
        if signal == Signal::Hangup && !is_there {
            self.owes_reload = true;
            self.reloading();
        }
    }

    /// What the daemon proper says.
    pub(super) fn pass_on(&mut self, sign: Sign) {
        match sign {
            Sign::Beat => {
                if matches!(self.known, Known::Reloading | Known::Stopping) {
                    let more = MORE.as_micros();
                    self.say(&format!("EXTEND_TIMEOUT_USEC={more}"));
                }
            }
            Sign::Reloading => self.reloading(),
            Sign::Reloaded(how) => {
                if self.known == Known::Reloading {
                    self.known = Known::Ready;
                    self.say(&format!("READY=1\nSTATUS={how}"));
                }
            }
            Sign::Stopping => self.stopping(),
        }
    }

    fn reloading(&mut self) {
        if self.known != Known::Stopping {
            self.known = Known::Reloading;
            self.say("RELOADING=1\nSTATUS=the apps are reloaded");
        }
    }

    fn stopping(&mut self) {
        if self.known != Known::Stopping {
            self.known = Known::Stopping;
            self.say("STOPPING=1\nSTATUS=the apps are stopped");
        }
    }

    fn say(&mut self, text: &str) {
        report(self.voice.say(text.to_owned()));
    }
}

fn report(told: io::Result<()>) {
    if let Err(error) = told {
        complain(&format!("the service manager cannot be told: {error}"));
    }
}
