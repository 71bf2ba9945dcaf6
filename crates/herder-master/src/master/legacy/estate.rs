//! What a master begins with: nothing, or what another one has left.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use herder_core::spec::{AppSpec, DispatchMode};
use herder_core::{Generation, WorkerId};
use herder_sys::listener::{ListenError, Listener};
use herder_sys::page::SharedPage;
use herder_wire::keeper::{Key, ToKeeper};

use super::book::Book;
use super::pulse::Heartbeat;
use super::restored::{LegacyError, Restored};
use super::state::FORMAT;
use crate::config::Config;
use crate::dispatch::{Berths, Board, Counters, Dispatch, Inheritance, Left, Trade};
use crate::estate::{Marks, StateFile, Treasury, Vault};
use crate::master::berths::{self, Before, BerthsError, Inherited};
use crate::master::crew::Crew;
use crate::master::delivery::{Delivery, Dispatching};
use crate::master::gateway::{Kept, LeftBehind, Reception};
use crate::master::library::{self, Awaited, Libraries};
use crate::master::listen::{self, Doors};
use crate::master::millis;
use crate::master::reload::{Editions, LeftEditions, Origin, Reloads};
use crate::master::runtime::Runtime;
use crate::master::setup::SetupError;
use crate::master::socket::{Bound, HerdSocket, Luggage};
use crate::part::Part;
use crate::role::Charge;
use crate::upgrade::unpack;

/// What there is, taken out piece by piece.
pub(in crate::master) struct Estate {
    vault: Vault,
    treasury: Treasury,
    /// What this process held before it was upgraded, if it was.
    hand: Option<Vec<Left>>,
    file: StateFile,
    pub(in crate::master) restored: Option<Restored>,
}

impl Estate {
    /// Where things are laid down for the next master.
    pub(in crate::master) fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Waits for what the keeper has, and reads what was written down.
    ///
    /// # Errors
    ///
    /// When it cannot be taken over. Nothing was changed then.
    pub(in crate::master) fn open(charge: Charge) -> Result<Estate, LegacyError> {
        let vault = Vault::new(charge.keeper);
        let hand = match charge.parcels {
            None => None,
            Some(parcels) => {
                let hand = unpack(parcels).map_err(LegacyError::Store)?;
                let asked = vault.send(&ToKeeper::HandOver, None);
                asked.map(|()| Some(hand)).map_err(LegacyError::Store)?
            }
        };
        let mut treasury = Treasury::receive(&vault.socket()).map_err(LegacyError::Store)?;
        let (restored, file) = match Restored::read(&mut treasury)? {
            Some((restored, file)) => (Some(restored), file),
            None => {
                let file = StateFile::create(FORMAT).map_err(LegacyError::Store)?;
                (None, file)
            }
        };
        Ok(Estate {
            vault,
            treasury,
            hand,
            file,
            restored,
        })
    }

    /// The definition that the herd holds to, if there is one.
    pub(in crate::master) fn definition(&self) -> Option<&str> {
        self.restored.as_ref()?.state.definition()
    }

    /// Who accepts, in the herd that was left.
    pub(in crate::master) fn mode(&self) -> Option<DispatchMode> {
        self.restored.as_ref().map(|restored| restored.state.mode)
    }

    /// A TCP address at which somebody listens for the herd since before its first master.
    pub(in crate::master) fn given(&self) -> Option<SocketAddr> {
        match self.restored {
            None => self.treasury.port(),
            Some(_) => None,
        }
    }

    /// Whether these settings are for the herd that was left.
    ///
    /// # Errors
    ///
    /// When they are for another one. Nothing was changed then.
    pub(in crate::master) fn check(&self, config: &Config) -> Result<(), LegacyError> {
        let restored = self.restored.as_ref();
        restored.map_or(Ok(()), |it| super::restored::check(&it.state, config))
    }

    /// The settings, as the operator has changed them since.
    pub(in crate::master) fn spec(&self, config: &Config) -> AppSpec {
        let mut spec = config.spec.clone();
        if let Some(restored) = &self.restored {
            spec.workers = restored.state.workers;
        }
        spec
    }

    /// Listens where the herd is to.
    ///
    /// # Errors
    ///
    /// When somebody else does.
    pub(in crate::master) fn listen(
        &mut self,
        config: &Config,
        of_gateways: Option<&Berths>,
    ) -> Result<Vec<Listener>, ListenError> {
        let doors = self.doors();
        let elsewhere = of_gateways.map(Berths::numbers).unwrap_or_default();
        let (treasury, vault) = (&mut self.treasury, &self.vault);
        listen::open(config, treasury, doors, vault, &elsewhere)
    }

    /// The listeners of their own that gateways have, where they do.
    ///
    /// # Errors
    ///
    /// When they cannot be had, or be taken over.
    pub(in crate::master) fn berths_of_gateways(
        &mut self,
        config: &Config,
    ) -> Result<Option<Berths>, BerthsError> {
        let living = self.living(Part::Gateway);
        berths::open_for_gateways(config, self.inherited(living.as_deref()))
    }

    /// Who lives of a part, if there was another master.
    fn living(&self, part: Part) -> Option<Vec<WorkerId>> {
        self.restored.as_ref().map(|it| it.members(part))
    }

    /// The listeners of their own that workers have, where they do.
    ///
    /// # Errors
    ///
    /// When they cannot be had, or be taken over.
    pub(in crate::master) fn berths(
        &mut self,
        config: &Config,
    ) -> Result<Option<Berths>, BerthsError> {
        let living = self.living(Part::Workers);
        berths::open(config, self.inherited(living.as_deref()))
    }

    fn inherited<'a>(&'a mut self, living: Option<&'a [WorkerId]>) -> Inherited<'a> {
        Inherited {
            doors: self.doors(),
            treasury: &mut self.treasury,
            vault: &self.vault,
            before: living.map_or(Before::Nobody, Before::Living),
        }
    }

    fn doors(&self) -> Doors {
        let is_ending = self.restored.as_ref().is_some_and(Restored::is_stopping);
        if is_ending {
            Doors::Closing
        } else {
            Doors::Open
        }
    }

    /// The herd's places. The keeper hears what it is to look after.
    pub(in crate::master) fn places(
        &mut self,
        config: &Config,
        listeners: &[Listener],
    ) -> io::Result<Runtime> {
        let app = &config.spec.name;
        let mut runtime = match &mut self.restored {
            None => Runtime::new(app, &self.vault)?,
            Some(restored) => {
                let places = std::mem::take(&mut restored.state.places);
                let lock = self.treasury.take(&Key::directory());
                Runtime::restored(app, &self.vault, places, lock)
            }
        };
        runtime.entrust(ToKeeper::Grace {
            millis: millis(config.spec.life.grace),
        })?;
        for listener in listeners {
            runtime.entrust_socket(listener)?;
        }
        Ok(runtime)
    }

    /// The herd's socket, if it is to have one. A herd that lives does not end for the want of it.
    ///
    /// # Errors
    /// When a herd that does not live yet cannot have it.
    pub(in crate::master) fn socket(
        &mut self,
        config: &Config,
        listeners: &[Listener],
        runtime: &mut Runtime,
    ) -> Result<Option<HerdSocket>, SetupError> {
        let luggage = Luggage::take(&mut self.treasury, &self.vault);
        let Some(path) = &config.control else {
            return Ok(None);
        };
        let is_upgraded = self.hand.is_some();
        let (state, bound) = match &mut self.restored {
            None => (None, Bound::ToSucceed),
            Some(restored) => (restored.state.socket.take(), Bound::Sometime),
        };
        let state = state.filter(|_| is_upgraded);
        let mut socket = HerdSocket::open(path, luggage, state, bound)?;
        socket.note_addresses(listeners);
        if let Some(listener) = socket.listener() {
            runtime.entrust_socket(listener)?;
        }
        Ok(Some(socket))
    }

    /// The libraries, listening.
    pub(in crate::master) fn libraries(
        &mut self,
        config: &Config,
        runtime: &mut Runtime,
    ) -> Result<Libraries, ListenError> {
        let found_by = self.restored.as_ref().map(Restored::libraries);
        library::found(config, runtime, &mut self.treasury, found_by)
    }

    /// Which libraries have never been ready.
    pub(in crate::master) fn awaited(&self, libraries: &[(Part, Crew)]) -> Awaited {
        match &self.restored {
            None => Awaited::new(libraries),
            Some(restored) => Awaited::of_numbers(libraries, &restored.state.awaited),
        }
    }

    /// The generations of the herd, and how far a reload has come.
    pub(in crate::master) fn generations(
        &mut self,
        config: &Config,
        origin: Origin,
    ) -> io::Result<(Editions, Reloads)> {
        match &self.restored {
            None => {
                let editions = Editions::first(config, origin, &self.vault)?;
                Ok((editions, Reloads::new()))
            }
            Some(Restored { state, .. }) => {
                let left = LeftEditions {
                    record: state.editions.clone(),
                    definitions: &state.definitions,
                    holds: state.holds,
                };
                let editions = Editions::restored(config, origin, left, &mut self.treasury)?;
                Ok((editions, state.reloads.clone().into_owned().taken_over()))
            }
        }
    }

    /// What was known for the gateways.
    pub(in crate::master) fn left_for_gateways(&mut self) -> LeftBehind {
        let kept = Kept::find(&mut self.treasury);
        let restored = self.restored.as_mut();
        let holds = restored.as_ref().and_then(|it| it.state.holds);
        LeftBehind {
            holds: holds.unwrap_or(Generation::FIRST),
            reception: restored.and_then(Restored::take_reception),
            kept,
        }
    }

    /// Gives each part its members back.
    ///
    /// # Errors
    ///
    /// When these are not the parts that the herd had.
    pub(in crate::master) fn hand_out(
        &mut self,
        crews: &mut [(Part, Crew)],
    ) -> Result<(), LegacyError> {
        match &mut self.restored {
            None => Ok(()),
            Some(restored) => restored.hand_out(crews, &mut self.treasury),
        }
    }

    /// The counters, which go on from master to master.
    fn counters(&self) -> io::Result<Counters> {
        let page = SharedPage::map(self.file.memory())?;
        Ok(Counters::in_page(Arc::new(page)))
    }

    /// What the last master noted besides its state, and this one will.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub(in crate::master) fn marks(&self) -> io::Result<Marks> {
        Marks::in_memory(self.file.memory())
    }

    /// How many connections died with the last master, if it died.
    fn settle(&self, counters: &Counters) -> Option<u64> {
        match (&self.restored, &self.hand) {
            (Some(_), None) => Some(counters.settle()),
            (None, _) | (_, Some(_)) => None,
        }
    }

    /// Whether the last master died.
    pub(in crate::master) fn is_inherited(&self) -> bool {
        self.hand.is_none()
    }

    /// What the dispatch thread begins with.
    fn inheritance(&mut self, listeners: Vec<Listener>) -> Inheritance {
        let restored = self.restored.as_mut();
        let lines = restored.map(|it| std::mem::take(&mut it.lines));
        let keys: Vec<_> = self.treasury.keys().copied().collect();
        let opened = keys.iter().filter_map(|key| {
            let number = key.as_node()?;
            Some((number, self.treasury.take(key)?))
        });
        let listeners_opened = opened.collect();
        let board = self.treasury.take(&Key::board()).map(|memory| Board {
            memory,
            listeners: listeners_opened,
            groups: berths::pieces(&mut self.treasury),
        });
        Inheritance {
            listeners,
            lines: lines.unwrap_or_default(),
            hand: self.hand.take().unwrap_or_default(),
            board,
            masters_died: self.treasury.masters_died(),
        }
    }

    /// The dispatch thread, which goes on with what the last one had. Says how many connections died with
    /// that, if there was one.
    pub(in crate::master) fn dispatch(
        &mut self,
        spec: &AppSpec,
        listeners: Vec<Listener>,
        trade: Trade,
        crews: &mut [(Part, Crew)],
    ) -> Result<(Delivery, Option<u64>), SetupError> {
        self.hand_out(crews)?;
        let counters = self.counters()?;
        let cut = self.settle(&counters);
        let inheritance = self.inheritance(listeners);
        let dispatch = Dispatch::start(&spec.dispatch, inheritance, trade, &self.vault, counters)?;
        Ok((Delivery::Thread(dispatch, Dispatching::Works), cut))
    }

    /// As [`dispatch`](Estate::dispatch), where a gateway takes messages. It holds all clients itself.
    pub(in crate::master) fn receive(
        &mut self,
        reception: Reception,
        crews: &mut [(Part, Crew)],
    ) -> Result<(Delivery, Option<u64>), SetupError> {
        self.hand_out(crews)?;
        let cut = self.is_inherited().then_some(0);
        Ok((Delivery::Gateway(reception), cut))
    }

    /// Everything was taken. Processes that nobody knows are ended, and the rest is forgotten.
    pub(in crate::master) fn close(
        mut self,
        watchdog: Option<Duration>,
    ) -> (Book, Option<Restored>) {
        let exits = self.treasury.take_exits();
        let pulse = Heartbeat::new(watchdog, self.treasury.keeper());
        self.treasury.end_strays();
        self.treasury.forget_rest(&self.vault);
        let book = Book::new(self.vault, self.file, exits, pulse);
        (book, self.restored)
    }
}
