//! A gateway's life, as the master directs it.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use herder_core::Incarnation;
use herder_sys::limits;
use herder_wire::control::{ToMaster, VERSION};
use herder_wire::gateway::{self, GatewayConfig, ToGateway};
use tokio::task;
use tokio::time::timeout;

use crate::control::{Channel, ControlFault, Inbox, Order};
use crate::edge::{self, Door, Edge};
use crate::gateway::{FAILED, Gateway, Leave, Signals, fail};
use crate::hub::shell::{self, Shell};
use crate::proxy::process;

/// How long clients are waited for when there is no master any more: it, or the next gateway, needs
/// the address.
const FAREWELL: Duration = Duration::from_millis(500);

/// Descriptors that clients do not get: links to workers, files of the page, what is on its way.
const OWN_DESCRIPTORS: u64 = 1024;

/// Lives, and returns the exit status.
pub(crate) async fn live(gateway: Gateway, signals: Signals) -> u8 {
    let app = gateway.app.clone();
    let channel = match Channel::new(gateway.control) {
        Ok(channel) => Rc::new(channel),
        Err(error) => return fail(&app, &error),
    };
    let mut inbox = Inbox::new(Rc::clone(&channel));
    let config = match greet(&channel, &mut inbox).await {
        Ok(Trade::Messages(config)) => config,
        Ok(Trade::Proxy(settings)) => {
            let beginning = process::Beginning {
                app,
                number: gateway.number,
                channel,
                inbox,
                listeners: gateway.listeners,
                settings,
            };
            return process::live(beginning, signals).await;
        }
        Err(fault) => return fail(&app, &master_fault(&fault)),
    };
    let passed = gateway.listeners.len();
    let configured = config.protocols.len();
    if configured != passed {
        let fault = ControlFault::Listeners { configured, passed };
        return fail(&app, &master_fault(&fault));
    }
    let house = House::new(&config, gateway.incarnation);
    let turn = Rc::clone(&house.shell).turn(channel);
    task::spawn_local(turn);
    house.shell.report(ToMaster::Ready);
    let doors = Doors {
        listeners: gateway.listeners,
        page: gateway.page,
        config: *config,
    };
    house.direct(&app, inbox, signals, doors).await
}

/// What the gateway is to do.
enum Trade {
    /// Each message is a job.
    Messages(Box<GatewayConfig>),
    /// Forward, by these settings.
    Proxy(Vec<u8>),
}

/// Introduces the gateway, and waits to be told what it is to do.
async fn greet(channel: &Channel, inbox: &mut Inbox) -> Result<Trade, ControlFault> {
    channel.say(&ToMaster::Hello {
        version: VERSION,
        capabilities: 0,
    })?;
    match inbox.next().await? {
        Order::Plain(ToGateway::Welcome { version, .. }) if version == gateway::VERSION => {}
        Order::Plain(ToGateway::Welcome { version, .. }) => {
            return Err(ControlFault::Version(version));
        }
        other @ (Order::Certificate { .. } | Order::Link { .. } | Order::Plain(_)) => {
            return Err(ControlFault::Unexpected(other.name()));
        }
    }
    match inbox.next().await? {
        Order::Plain(ToGateway::Configure(config)) => Ok(Trade::Messages(config)),
        Order::Plain(ToGateway::Proxy(settings)) => Ok(Trade::Proxy(settings)),
        other @ (Order::Certificate { .. } | Order::Link { .. } | Order::Plain(_)) => {
            Err(ControlFault::Unexpected(other.name()))
        }
    }
}

/// What is opened once the master says so.
struct Doors {
    listeners: Vec<(String, OwnedFd)>,
    page: Option<OwnedFd>,
    config: GatewayConfig,
}

/// A gateway that is configured.
struct House {
    shell: Rc<Shell>,
    close_timeout: Duration,
}

/// What comes of an order.
enum Next {
    Continue,
    Close,
    /// Leave, within so long.
    Leave(Duration),
    Open,
}

impl House {
    fn new(config: &GatewayConfig, incarnation: u64) -> House {
        House {
            shell: Shell::new(shell::Settings::new(config, incarnation)),
            close_timeout: millis(config.close_timeout_millis),
        }
    }

    /// Follows the master until the end.
    async fn direct(self, app: &str, mut inbox: Inbox, signals: Signals, doors: Doors) -> u8 {
        let (mut doors, mut edge) = (Some(doors), None);
        loop {
            let order = tokio::select! {
                biased;
                order = inbox.next() => order,
                leave = signals.leave() => match leave {
                    Leave::Asked(wish) => {
                        self.shell.report(wish);
                        continue;
                    }
                    Leave::AtOnce => return FAILED,
                },
            };
            let next = match order.and_then(|order| self.obey(order)) {
                Ok(next) => next,
                Err(fault) => {
                    self.leave(edge.as_ref(), FAREWELL).await;
                    return fail(app, &master_fault(&fault));
                }
            };
            match next {
                Next::Continue => {}
                Next::Open => match doors.take().map(|doors| self.open(doors)) {
                    Some(Ok(opened)) => edge = Some(opened),
                    Some(Err(error)) => return fail(app, &error),
                    None => {}
                },
                Next::Close => {
                    doors = None;
                    edge.iter().for_each(Edge::close);
                }
                Next::Leave(within) => {
                    self.leave(edge.as_ref(), within).await;
                    return 0;
                }
            }
        }
    }

    fn obey(&self, order: Order) -> Result<Next, ControlFault> {
        let shell = &self.shell;
        let name = order.name();
        let order = match order {
            Order::Link { worker, ends } => {
                let worker = Incarnation(worker);
                match ends {
                    Some(ends) => shell.tie(worker, ends),
                    None => shell.cannot_tie(worker, "the gateway has too many open descriptors"),
                }
                return Ok(Next::Continue);
            }
            Order::Certificate { .. } => return Err(ControlFault::Unexpected(name)),
            Order::Plain(order) => order,
        };
        match order {
            ToGateway::Expect { worker, slot, pid } => {
                shell.expect(Incarnation(worker), slot, pid);
            }
            ToGateway::Admit { worker } => shell.admit(Incarnation(worker)),
            ToGateway::Hold { worker } => shell.hold(Incarnation(worker)),
            ToGateway::Withdraw { worker } => shell.withdraw(Incarnation(worker)),
            ToGateway::Gone { worker } => shell.gone(Incarnation(worker)),
            ToGateway::Resync => shell.resync(),
            ToGateway::Open => return Ok(Next::Open),
            ToGateway::CloseListeners { within_millis } => {
                shell.close(millis(within_millis));
                return Ok(Next::Close);
            }
            ToGateway::Drain { grace_millis } => {
                // Before it would be killed.
                let within = millis(grace_millis) * 7 / 8;
                return Ok(Next::Leave(within.min(self.close_timeout)));
            }
            ToGateway::Backend(_)
            | ToGateway::Certificate(_)
            | ToGateway::Welcome { .. }
            | ToGateway::Configure(_)
            | ToGateway::Link { .. }
            | ToGateway::Proxy(_)
            | ToGateway::WithdrawAgain { .. } => {
                return Err(ControlFault::Unexpected(name));
            }
        }
        Ok(Next::Continue)
    }

    fn open(&self, doors: Doors) -> io::Result<Edge> {
        let mut settings = edge::Settings::from(&doors.config);
        settings.max_clients = settings.max_clients.min(room_for_clients());
        let listeners = doors.listeners.into_iter().zip(doors.config.protocols);
        let door = |((name, listener), protocol)| Door {
            name,
            listener,
            protocol,
        };
        let listeners = listeners.map(door).collect();
        Edge::open(self.shell.hub(), settings, listeners, doors.page)
    }

    /// Tells all clients to go, and waits until they have gone.
    async fn leave(&self, edge: Option<&Edge>, within: Duration) {
        self.shell.send_away();
        let Some(edge) = edge else { return };
        edge.close();
        // Who is still here then is cut off.
        let _late = timeout(within, edge.empty()).await;
    }
}

/// How many clients this process can have descriptors for.
pub(crate) fn room_for_clients() -> usize {
    let (limit, _) = limits::open_files();
    let room = limit.saturating_sub(OWN_DESCRIPTORS).max(limit / 2);
    usize::try_from(room).unwrap_or(usize::MAX)
}

fn master_fault(fault: &ControlFault) -> String {
    format!("it cannot go on with this master: {fault}")
}

fn millis(number: u32) -> Duration {
    Duration::from_millis(number.into())
}
