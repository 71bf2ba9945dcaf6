//! What only a restart changes: it was decided when the herd began to listen.

use crate::config::{
    Choice, Command, Config, LibraryProgram, NodeProgram, NodeReady, OnReload, Program, Proxy,
};

/// What of a configuration a reload cannot change, by the names of the settings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Fixed(Vec<(&'static str, String)>);

impl Fixed {
    pub(super) fn of(config: &Config) -> Fixed {
        let (spec, node) = (&config.spec, node(&config.program));
        let mut all = vec![
            ("name", spec.name.to_string()),
            ("listen", format!("{:?}", config.listen)),
            ("messages", format!("{:?}", config.messages)),
            ("proxy.via", proxy(config, |it| format!("{:?}", it.via))),
            ("ready", proxy(config, |it| format!("{:?}", it.ready))),
            ("backlog", config.backlog.to_string()),
            ("unix_mode", config.unix_mode.to_string()),
            ("dispatch", dispatch(config)),
            ("policy", spec.dispatch.picker.to_string()),
            ("hang", format!("{:?}", spec.dispatch.hang)),
            ("weights", format!("{:?}", spec.dispatch.weights)),
            ("script", kind(&config.program).to_owned()),
            ("send_handle", node.and_then(handle).unwrap_or_default()),
            ("libraries", libraries(config)),
            ("logs", format!("{:?}", config.logs)),
        ];
        // The primary of Node's cluster counts requests from its start on, or not at all.
        if node.is_some() {
            let counts = spec.recycle.max_requests.is_some();
            all.push(("max_requests", counts.to_string()));
        }
        // The sockets of the libraries are theirs who may call them.
        if !config.libraries.is_empty() {
            let identity = command(&config.program).and_then(|it| it.identity.as_ref());
            all.push(("user", format!("{identity:?}")));
        }
        all.extend(config.restart_only.iter().cloned());
        Fixed(all)
    }

    /// The names of what differs.
    pub(super) fn differing(&self, other: &Fixed) -> Vec<&'static str> {
        let known = |name: &str| {
            let mut ours = self.0.iter();
            ours.find(|(it, _)| *it == name).map(|(_, value)| value)
        };
        let theirs = other.0.iter();
        let differs = theirs.filter(|(name, value)| known(name).is_some_and(|it| it != value));
        let mut names: Vec<_> = differs.map(|(name, _)| *name).collect();
        if names.contains(&"listen") {
            // Who may accept, and who hangs, follows from where the app listens.
            names.retain(|name| !["dispatch", "hang"].contains(name));
        }
        names
    }
}

/// Who is to accept: where herder chooses, that, and not what it has chosen.
fn dispatch(config: &Config) -> String {
    match config.choice {
        Choice::KernelFirst => "auto".to_owned(),
        Choice::Said => config.spec.dispatch.mode.to_string(),
    }
}

/// What of a proxy concerns its workers: its gateways can be replaced.
fn proxy(config: &Config, what: impl Fn(&Proxy) -> String) -> String {
    config.proxy.as_ref().map(what).unwrap_or_default()
}

/// What a program is to the master.
fn kind(program: &Program) -> &'static str {
    match program {
        Program::Itself => "itself",
        Program::Command(_) => "a command",
        Program::Node(_) => "a script",
    }
}

fn node(program: &Program) -> Option<&NodeProgram> {
    match program {
        Program::Node(program) => Some(program),
        Program::Command(_) | Program::Itself => None,
    }
}

fn command(program: &Program) -> Option<&Command> {
    match program {
        Program::Command(command) | Program::Node(NodeProgram { command, .. }) => Some(command),
        Program::Itself => None,
    }
}

fn handle(program: &NodeProgram) -> Option<String> {
    match &program.ready {
        NodeReady::Handle(name) => Some(name.clone()),
        NodeReady::Listening | NodeReady::Message => None,
    }
}

fn libraries(config: &Config) -> String {
    let each = config.libraries.iter().map(|library| {
        let what = match &library.program {
            LibraryProgram::Itself => "itself".to_owned(),
            LibraryProgram::Command(command) => format!("{:?}", command.argv),
            LibraryProgram::Hosted(command, _) => format!("hosted {:?}", command.argv),
        };
        let stays = library.on_reload == OnReload::Keep;
        format!("{} {what} {stays}", library.name)
    });
    each.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use herder_core::spec::{AppSpec, PickerKind, WorkerCount};

    use super::*;
    use crate::config::{
        Farewell, Format, Library, Numbering, ProxyReady, Shim, Stdin, Titles, Via,
    };

    /// A setting, and how another configuration differs in it.
    type Changed = (&'static str, fn(&mut Config));

    fn command(argv: &[&str]) -> Command {
        Command {
            path: "/bin/true".into(),
            sought: None,
            argv: argv.iter().map(Into::into).collect(),
            directory: None,
            identity: None,
        }
    }

    fn script() -> Program {
        Program::Node(NodeProgram {
            command: command(&["node", "app.js"]),
            ready: NodeReady::Listening,
            farewell: Farewell::Disconnect,
            shim: Shim::Off,
            inspect: None,
        })
    }

    fn config(program: Program) -> Config {
        let workers = WorkerCount::new(2).expect("two");
        Config {
            spec: AppSpec::new("web".parse().expect("a name"), workers),
            definition: String::new(),
            restart_only: vec![("bus", "false".to_owned())],
            listen: Vec::new(),
            messages: None,
            proxy: None,
            libraries: Vec::new(),
            backlog: 16,
            unix_mode: 0o600,
            program,
            environment: None,
            numbering: Numbering::default(),
            format: Format::Quiet,
            observer: None,
            titles: Titles::default(),
            choice: Choice::Said,
            dispatch_reason: String::new(),
            hints: Vec::new(),
            watchdog: None,
            version: String::new(),
            verdict_file: None,
            control: None,
            stdin: Stdin::Null,
            logs: None,
            event_log: None,
        }
    }

    fn differing(from: &Config, to: &Config) -> Vec<&'static str> {
        Fixed::of(from).differing(&Fixed::of(to))
    }

    #[test]
    fn r38_what_a_reload_can_take_over_is_no_difference() {
        let from = config(Program::Command(command(&["a"])));
        let mut to = config(Program::Command(command(&["b", "c"])));
        to.environment = Some(vec![("A".into(), "1".into())]);
        to.spec.workers = WorkerCount::new(7).expect("seven");
        to.spec.life.grace = Duration::from_secs(1);
        to.spec.recycle.max_lifetime = Some(Duration::from_secs(60));
        to.watchdog = Some(Duration::from_secs(3));
        to.numbering.slot = Some("SLOT".to_owned());
        assert!(differing(&from, &to).is_empty());
    }

    fn proxy(settings: &str) -> Config {
        Config {
            proxy: Some(Proxy {
                settings: settings.to_owned(),
                gateways: 1,
                via: Via::Port,
                ready: ProxyReady::Listens,
                certificates: Vec::new(),
            }),
            ..config(Program::Command(command(&["a"])))
        }
    }

    #[test]
    fn r38_gateways_are_replaced_but_not_where_workers_listen() {
        let (from, mut to) = (proxy("{}"), proxy("{1}"));
        if let Some(proxy) = &mut to.proxy {
            proxy.gateways = 3;
        }
        assert!(differing(&from, &to).is_empty());
        if let Some(proxy) = &mut to.proxy {
            (proxy.via, proxy.ready) = (Via::Unix, ProxyReady::ListensAndSaysSo);
        }
        assert_eq!(differing(&from, &to), ["proxy.via", "ready"]);
    }

    #[test]
    fn r38_what_only_a_restart_changes_is_named() {
        let from = config(script());
        let changes: [Changed; 9] = [
            ("name", |it| it.spec.name = "other".parse().expect("a name")),
            ("listen", |it| {
                it.listen = vec!["80".parse().expect("a port")];
            }),
            ("policy", |it| it.spec.dispatch.picker = PickerKind::IpHash),
            ("weights", |it| {
                it.spec.dispatch.weights = vec![herder_core::rotation::Weight::MAX];
            }),
            ("script", |it| {
                it.program = Program::Command(command(&["node", "app.js"]));
            }),
            ("send_handle", |it| {
                if let Program::Node(program) = &mut it.program {
                    program.ready = NodeReady::Handle("server".to_owned());
                }
            }),
            ("max_requests", |it| {
                it.spec.recycle.max_requests = std::num::NonZeroU64::new(9);
            }),
            ("libraries", |it| {
                it.libraries.push(Library {
                    name: "core".parse().expect("a name"),
                    program: LibraryProgram::Command(command(&["./core"])),
                    boot_timeout: Duration::from_secs(1),
                    hang: None,
                    on_reload: OnReload::Replace,
                });
            }),
            ("bus", |it| {
                it.restart_only = vec![("bus", "true".to_owned())];
            }),
        ];
        for (name, change) in changes {
            let mut to = config(script());
            change(&mut to);
            assert_eq!(differing(&from, &to), [name]);
        }
    }
}
