//! What only a restart changes: it was decided when the herd began to listen.

use crate::config::{Command, Config, LibraryProgram, NodeProgram, NodeReady, OnReload, Program};

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
            ("backlog", config.backlog.to_string()),
            ("unix_mode", config.unix_mode.to_string()),
            ("dispatch", spec.dispatch.mode.to_string()),
            ("policy", spec.dispatch.picker.to_string()),
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
        differs.map(|(name, _)| *name).collect()
    }
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
