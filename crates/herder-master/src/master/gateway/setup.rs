//! From the settings of a gateway to a part of the herd.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use herder_core::Generation;
use herder_core::spec::{
    AppSpec, DispatchMode, LifePolicy, Readiness, RecyclePolicy, RestartPolicy, WorkerCount,
};
use herder_core::supervisor::Supervisor;
use herder_sys::listener::Listener;
use herder_sys::{directory, limits, random};
use herder_wire::gateway::{BadSetting, GatewayConfig, ToGateway};
use herder_wire::plan::Identity;
use herder_wire::proxy::MAX_SETTINGS;

use super::certificates::Certificates;
use super::kept::Kept;
use super::lodging::{Notice, Vigil};
use super::nobody::{self, Rights};
use super::settings::{Former, Settings};
use super::{Reception, Roster};
use crate::config::{Config, Messages, Program, Proxy, ProxyReady, Via};
use crate::dispatch::Berths;
use crate::event::HerdEvent;
use crate::master::crew::Crew;
use crate::master::legacy::ReceptionState;
use crate::master::nursery::{GatewayRecipe, Recipe};
use crate::master::runtime::Visitor;
use crate::master::{millis, now};
use crate::output::Output;

/// How long who goes after the workers has to close what is left. The keeper waits a little
/// longer for the master than for the workers; this is within that.
const GRACE: Duration = Duration::from_secs(7);

/// How often it beats at the least.
const SLOWEST_BEAT: Duration = Duration::from_secs(1);

/// What a gateway needs that only the settings can give.
pub(in crate::master) struct Prepared {
    settings: Settings,
    /// Of a proxy: what workers have to say, beside listening.
    notice: Option<Notice>,
    page: Option<OwnedFd>,
    /// Something that the operator should know.
    warning: Option<String>,
    identity: Option<Identity>,
}

/// What another master has left of gateways, if there was one.
pub(in crate::master) struct LeftBehind {
    /// The generation whose definition holds.
    pub(in crate::master) holds: Generation,
    pub(in crate::master) reception: Option<ReceptionState<'static>>,
    pub(in crate::master) kept: Kept,
}

/// Where gateways let clients in.
pub(in crate::master) struct Doors {
    /// What all of them share.
    pub(in crate::master) listeners: Vec<Listener>,
    /// What each has for itself.
    pub(in crate::master) berths: Option<Berths>,
}

/// Why there cannot be a gateway.
#[derive(Debug, thiserror::Error)]
pub(in crate::master) enum MessageError {
    #[error(transparent)]
    Setting(#[from] BadSetting),
    #[error("page: cannot open the directory {path}: {source}")]
    Page { path: PathBuf, source: io::Error },
    #[error("the gateway has {listeners} addresses, but a protocol for {protocols} of them")]
    Protocols { listeners: usize, protocols: usize },
    #[error("dispatch by message and a gateway go together: there is only one of them")]
    Mode,
    #[error("messages are for workers that are this program itself")]
    Foreign,
    #[error("dispatch by proxy and its settings go together: there is only one of them")]
    ProxyMode,
    #[error("a proxy is for workers that are programs of their own")]
    Native,
    #[error("proxy: {path}: cannot be opened: {reason}")]
    Unopened { path: PathBuf, reason: String },
    #[error("proxy: its settings are {0} bytes long, and may have {MAX_SETTINGS}")]
    Settings(usize),
}

/// Checks the settings, and opens what they name.
pub(in crate::master) fn prepare(config: &Config) -> Result<Option<Prepared>, MessageError> {
    let mode = config.spec.dispatch.mode;
    match (&config.proxy, mode) {
        (Some(proxy), DispatchMode::Proxy) => return prepare_proxy(config, proxy).map(Some),
        (None, DispatchMode::Proxy) | (Some(_), _) => return Err(MessageError::ProxyMode),
        (None, _) => {}
    }
    let by_message = mode == DispatchMode::Message;
    let Some(messages) = &config.messages else {
        return if by_message {
            Err(MessageError::Mode)
        } else {
            Ok(None)
        };
    };
    if !by_message || !config.listen.is_empty() {
        return Err(MessageError::Mode);
    }
    if !matches!(config.program, Program::Itself) {
        return Err(MessageError::Foreign);
    }
    let gateway = gateway_config(messages, &config.spec)?;
    let (identity, root) = identity();
    let page = messages.page.as_deref().map(open_page).transpose()?;
    let hidden = identity
        .is_some()
        .then(|| messages.page.as_deref().and_then(hidden_page))
        .flatten();
    Ok(Some(Prepared {
        settings: Settings {
            configuration: ToGateway::Configure(Box::new(gateway)),
            certificates: Certificates::open(&[], 1),
            count: one(),
            generation: Generation::FIRST,
        },
        notice: None,
        page,
        warning: root.or(hidden),
        identity,
    }))
}

fn prepare_proxy(config: &Config, proxy: &Proxy) -> Result<Prepared, MessageError> {
    if !matches!(config.program, Program::Command(_)) || config.messages.is_some() {
        return Err(MessageError::Native);
    }
    let (identity, warning) = identity();
    Ok(Prepared {
        settings: Settings::new(commission(proxy)?, proxy, Generation::FIRST, 1),
        notice: Some(match proxy.ready {
            ProxyReady::Listens => Notice::Unneeded,
            ProxyReady::ListensAndSaysSo => Notice::Due,
        }),
        page: None,
        warning,
        identity,
    })
}

/// What a gateway that forwards is told.
///
/// # Errors
/// When it is more than can be said.
pub(super) fn commission(proxy: &Proxy) -> Result<ToGateway, MessageError> {
    if proxy.settings.len() > MAX_SETTINGS {
        return Err(MessageError::Settings(proxy.settings.len()));
    }
    Ok(ToGateway::Proxy(proxy.settings.clone().into_bytes()))
}

/// How many gateways there are to be.
pub(super) fn count(proxy: &Proxy) -> WorkerCount {
    WorkerCount::new(proxy.gateways.into()).unwrap_or_else(|_| one())
}

/// Whose rights a gateway has, and what is to be said of it.
fn identity() -> (Option<Identity>, Option<String>) {
    match nobody::rights() {
        Rights::Masters => (None, None),
        Rights::Of(identity) => (Some(identity), None),
        Rights::Roots => (None, Some(ROOT.to_owned())),
    }
}

/// The group of a gateway, if it is not the master's.
pub(in crate::master) fn group() -> Option<u32> {
    match nobody::rights() {
        Rights::Of(identity) => Some(identity.gid),
        Rights::Masters | Rights::Roots => None,
    }
}

/// Who comes to the private directory for the gateway's sake: it is made once, whoever needs it first.
pub(in crate::master) fn visitor(config: &Config) -> Visitor {
    let by_path = config.proxy.as_ref().is_some_and(|it| it.via == Via::Unix);
    match group() {
        Some(_) if by_path => Visitor::Another,
        Some(_) | None => Visitor::Ourselves,
    }
}

impl Prepared {
    /// Whether a herd can begin so. One that lives goes on, whatever became of its files.
    pub(in crate::master) fn check(&self) -> Result<(), MessageError> {
        self.settings.certificates.check()
    }

    /// The gateway as a part of the herd, and what the master knows for it.
    pub(in crate::master) fn found(
        self,
        spec: &AppSpec,
        doors: Doors,
        output: &Output,
        left: LeftBehind,
    ) -> io::Result<(Crew, Reception)> {
        if let Some(text) = self.warning {
            output.tell(HerdEvent::Warning { text });
        }
        let named = |listener: Listener| (listener.local().to_string(), listener.into_fd());
        let recipe = GatewayRecipe {
            app: spec.name.clone(),
            listeners: doors.listeners.into_iter().map(named).collect(),
            berths: doors.berths.clone(),
            page: self.page,
            identity: self.identity,
            open_files: limits::raise_open_files()?,
        };
        let mut gateway = gateway_spec(spec, self.settings.count);
        if self.notice.is_some() {
            // A proxy beats, whatever the workers do.
            gateway.life.hang = LifePolicy::default().hang;
            // Others serve while one leaves, and its clients have as long as anybody. (At the end of all: see
            // `hasten_gateways`.)
            gateway.life.grace = spec.life.grace;
            // Who has the settings serves by them.
            gateway.reload.soak = Duration::ZERO;
        }
        let supervisor = Supervisor::new(gateway, random::seed());
        let mut kept = left.kept;
        let stored = kept.numbers();
        let known = left.reception.unwrap_or_else(|| ReceptionState {
            roster: Cow::Owned(Roster::new()),
            open_by: now().after(spec.life.boot_timeout),
            settings: None,
            former: None,
            outdated: Cow::default(),
        });
        let roster = known.roster.into_owned().taken_over();
        let settings = Settings {
            generation: left.holds,
            ..self.settings
        };
        let mut vigil = self.notice.map(Vigil::new);
        if let Some(vigil) = &mut vigil {
            for lodger in roster.lodgers() {
                vigil.go_on(lodger, now());
            }
        }
        let reception = Reception {
            roster,
            settings: settings.or_left(known.settings, &mut kept),
            former: known.former.map(|it| Former::left(it, &mut kept)),
            outdated: known.outdated.into_owned(),
            kept: stored,
            berths: doors.berths,
            vigil,
            leaving: BTreeMap::new(),
            open_by: known.open_by,
        };
        Ok((Crew::new(supervisor, Recipe::Gateway(recipe)), reception))
    }
}

/// How long the gateway and the libraries of this app have to close what is left.
pub(in crate::master) fn grace(life: &LifePolicy) -> Duration {
    life.grace.min(GRACE)
}

/// Where messages are jobs there is no more: a worker has one link.
fn one() -> WorkerCount {
    WorkerCount::new(1).expect("one is a count of workers")
}

/// Gateways are supervised as the workers are, and have restart budgets of their own.
fn gateway_spec(spec: &AppSpec, count: WorkerCount) -> AppSpec {
    AppSpec {
        name: spec.name.clone(),
        workers: count,
        restart: RestartPolicy::default().without_end(),
        recycle: RecyclePolicy::default(),
        reload: spec.reload.clone(),
        life: LifePolicy {
            readiness: Readiness::Message,
            grace: grace(&spec.life),
            max_silence: None,
            ..spec.life.clone()
        },
        dispatch: spec.dispatch.clone(),
    }
}

fn gateway_config(messages: &Messages, spec: &AppSpec) -> Result<GatewayConfig, MessageError> {
    let beat = spec.life.hang.map(|hang| (hang / 4).min(SLOWEST_BEAT));
    let config = GatewayConfig {
        beat_millis: beat.map(|beat| millis(beat).max(1)),
        ..messages.gateway.clone()
    };
    config.check()?;
    let (listeners, protocols) = (messages.listen.len(), config.protocols.len());
    if listeners != protocols {
        return Err(MessageError::Protocols {
            listeners,
            protocols,
        });
    }
    Ok(config)
}

const ROOT: &str = "the gateway runs as root: the master may not become another user";

fn open_page(path: &Path) -> Result<OwnedFd, MessageError> {
    directory::open_directory(path).map_err(|source| MessageError::Page {
        path: path.to_owned(),
        source,
    })
}

/// Warns of a page that a gateway cannot show because it is nobody.
fn hidden_page(path: &Path) -> Option<String> {
    const OTHERS_PASS: u32 = 0o001;
    let found = std::fs::metadata(path).ok()?;
    let hidden = found.permissions().mode() & OTHERS_PASS == 0;
    hidden.then(|| {
        let path = path.display();
        format!("the gateway runs as nobody, who may not look into the page's directory {path}")
    })
}

#[cfg(test)]
mod tests {
    use herder_core::spec::ListenAddress;
    use herder_wire::gateway::Protocol;

    use super::*;
    use crate::config::{Format, Titles};

    fn config(mode: DispatchMode, messages: Option<Messages>) -> Config {
        let workers = WorkerCount::new(2).expect("two");
        let mut spec = AppSpec::new("web".parse().expect("a name"), workers);
        spec.dispatch.mode = mode;
        Config {
            spec,
            definition: String::new(),
            restart_only: Vec::new(),
            listen: Vec::new(),
            messages,
            proxy: None,
            backlog: 16,
            unix_mode: 0o600,
            program: Program::Itself,
            environment: None,
            numbering: crate::config::Numbering::default(),
            libraries: Vec::new(),
            format: Format::Quiet,
            observer: None,
            titles: Titles::default(),
            choice: crate::config::Choice::Said,
            dispatch_reason: String::new(),
            hints: Vec::new(),
            watchdog: None,
            version: String::new(),
            verdict_file: None,
            control: None,
            stdin: crate::config::Stdin::Null,
            logs: None,
            event_log: None,
        }
    }

    fn messages() -> Messages {
        let (host, port) = (None, 0);
        Messages {
            listen: vec![ListenAddress::Tcp { host, port }],
            page: None,
            gateway: GatewayConfig {
                protocols: vec![Protocol::Lines],
                ..GatewayConfig::default()
            },
        }
    }

    fn refusal(config: &Config) -> String {
        match prepare(config) {
            Ok(_) => panic!("it was accepted"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_page_that_cannot_be_opened_is_named_with_its_setting() {
        let page = Some("/no/such/page".into());
        let messages = Messages { page, ..messages() };
        let said = refusal(&config(DispatchMode::Message, Some(messages)));
        assert!(
            said.starts_with("page: cannot open the directory /no/such/page: "),
            "{said}"
        );
    }

    #[test]
    fn a_gateway_and_its_mode_go_together() {
        let pass = config(DispatchMode::Pass, Some(messages()));
        assert!(refusal(&pass).contains("go together"));
        let alone = config(DispatchMode::Message, None);
        assert!(refusal(&alone).contains("go together"));
        let nothing = prepare(&config(DispatchMode::Shared, None));
        assert!(nothing.expect("nothing to prepare").is_none());
        let both = prepare(&config(DispatchMode::Message, Some(messages())));
        assert!(both.expect("right").is_some());
    }

    #[test]
    fn each_address_has_a_protocol() {
        let mut messages = messages();
        messages.gateway.protocols.push(Protocol::WebSocket);
        let said = refusal(&config(DispatchMode::Message, Some(messages)));
        assert_eq!(
            said,
            "the gateway has 1 addresses, but a protocol for 2 of them"
        );
    }

    #[test]
    fn a_gateway_beats_four_times_before_it_counts_as_silent() {
        let mut spec = config(DispatchMode::Message, None).spec;
        for (hang, beat) in [
            (None, None),
            (Some(2000), Some(500)),
            (Some(60_000), Some(1000)),
        ] {
            spec.life.hang = hang.map(Duration::from_millis);
            let config = gateway_config(&messages(), &spec).expect("right");
            assert_eq!(config.beat_millis, beat);
        }
    }

    #[test]
    fn a_gateway_ends_before_the_keeper_takes_the_master_for_hung() {
        let mut spec = config(DispatchMode::Message, None).spec;
        spec.life.grace = Duration::from_secs(600);
        assert_eq!(gateway_spec(&spec, one()).life.grace, GRACE);
        spec.life.grace = Duration::from_secs(1);
        let gateway = gateway_spec(&spec, WorkerCount::new(3).expect("three"));
        assert_eq!(gateway.life.grace, Duration::from_secs(1));
        assert_eq!(gateway.workers.count(), 3);
    }
}
