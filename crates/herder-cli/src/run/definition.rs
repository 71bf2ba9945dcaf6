//! Where the definition of a herd is read, now and at each reload; and how it is written down for a master
//! that goes on with the herd, whatever has become of the file by then.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use herder_api::herd::HerdOrder;
use herder_api::{App, Problem};
use herder_config::Options;
use herder_master::config::{Command, Config, Format, NodeProgram, Program, Source};
use herder_sys::user::Identity;
use serde::{Deserialize, Serialize};

use super::args::RunArgs;
use super::config::config;
use super::description::Description;
use super::error::RunError;
use super::{node, program};

/// Where a library that is this executable finds the definition that holds.
const HELD: &str = "HERDER_DEFINITION";

/// A file with the definition of a herd.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// An order of the daemon's.
    Order(PathBuf),
    /// One with apps, of which one is run.
    File(Box<Apps>),
}

/// A file with apps, run in the foreground.
#[derive(Clone, Debug)]
pub(crate) struct Apps {
    pub(crate) path: PathBuf,
    pub(crate) options: Options,
    pub(crate) format: Format,
    pub(crate) verdict_file: Option<PathBuf>,
}

/// A definition, as it was when it was taken over.
#[derive(Serialize, Deserialize)]
struct Definition {
    app: App,
    environment: BTreeMap<String, String>,
    whose: Option<Whose>,
    socket: Option<PathBuf>,
    log_dir: Option<PathBuf>,
    event_log: Option<PathBuf>,
}

/// Whose rights the workers have.
#[derive(Serialize, Deserialize)]
struct Whose {
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
}

impl Source for Origin {
    fn read(&mut self) -> Result<Config, String> {
        let description = self.describe()?;
        let config = config(&description).map_err(|error| error.to_string())?;
        defined(&description, config).map_err(|error| error.to_string())
    }

    fn is_prompt(&self) -> bool {
        match self {
            Origin::Order(_) => true,
            Origin::File(_) => false,
        }
    }

    fn recall(&mut self, definition: &str) -> Result<Config, String> {
        let description = self.recalled(definition)?;
        let config = config(&description).map_err(|error| error.to_string())?;
        Ok(Config {
            definition: definition.to_owned(),
            ..config
        })
    }
}

impl Origin {
    /// What stands there now.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    fn describe(&self) -> Result<Description, String> {
        let described = match self {
            Origin::Order(path) => order(path)?,
            Origin::File(apps) => apps.describe()?,
        };
        Ok(described)
    }

    /// What the built-in library is made from: what holds, or else what stands there.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn held(&self) -> Result<Description, String> {
        match std::env::var(HELD) {
            Ok(definition) => self.recalled(&definition),
            Err(_) => self.describe(),
        }
    }

    /// What an earlier master has written down.
    fn recalled(&self, definition: &str) -> Result<Description, String> {
        let damaged = |error: serde_json::Error| format!("the definition is damaged: {error}");
        let definition: Definition = serde_json::from_str(definition).map_err(damaged)?;
        let described = Description::of_app(definition.app, definition.environment);
        let description = described.map_err(|error| error.to_string())?;
        let whose = definition.whose.map(|it| Identity {
            uid: it.uid,
            gid: it.gid,
            groups: it.groups,
        });
        Ok(Description {
            identity: Some(whose),
            format: match self {
                Origin::Order(_) => Format::Quiet,
                Origin::File(apps) => apps.format,
            },
            verdict_file: match self {
                Origin::Order(_) => None,
                Origin::File(apps) => apps.verdict_file.clone(),
            },
            control: definition.socket,
            log_dir: definition.log_dir,
            event_log: definition.event_log,
            ..description
        })
    }
}

/// Reads an order.
fn order(path: &Path) -> Result<Description, String> {
    let error = |problem: String| format!("cannot read the order {path:?}: {problem}");
    let text = std::fs::read(path).map_err(|failed| error(failed.to_string()))?;
    let order: HerdOrder =
        serde_json::from_slice(&text).map_err(|failed| error(failed.to_string()))?;
    let environment = herder_config::environment(&order);
    let description = Description::of_app(order.app, environment);
    Ok(Description {
        format: Format::Quiet,
        control: Some(order.socket),
        event_log: Some(order.event_log),
        log_dir: Some(order.log_dir),
        ..description.map_err(|error| error.to_string())?
    })
}

impl Apps {
    /// The file that the arguments name, if they name one.
    ///
    /// # Errors
    /// When they say what only the file can say, or of a script what only of a file can be said.
    pub(crate) fn of_args(args: &RunArgs) -> Result<Option<Apps>, RunError> {
        let script = args.script.as_ref();
        let Some(path) = script.filter(|path| herder_config::is_config(path)) else {
            return args.without_file().map(|()| None);
        };
        if let Some(given) = said_beside(args)? {
            let path = path.clone();
            return Err(RunError::SaidByFile { given, path });
        }
        Ok(Some(Apps {
            path: path.clone(),
            options: Options {
                profile: args.env.clone(),
                only: args.only.clone().into_iter().collect(),
            },
            format: args.format(),
            verdict_file: args.reload.verdict_file.clone(),
        }))
    }

    fn describe(&self) -> Result<Description, String> {
        let loaded = herder_config::load(&self.path, &self.options).map_err(|all| told(&all))?;
        let mut apps = loaded.apps.into_iter();
        let app = match (apps.next(), apps.next()) {
            (Some(app), None) => app,
            (None, _) => return Err(format!("{}: it defines no app", self.path.display())),
            (Some(first), Some(second)) => {
                let names = [first, second].into_iter().chain(apps);
                let names: Vec<_> = names.map(|app| app.name).collect();
                return Err(format!(
                    "{path}: it defines {names}; say which one is to run in the foreground (herder run \
                     {path} --only {first}), or have all run in the background (herder start {path})",
                    path = self.path.display(),
                    names = names.join(", "),
                    first = names[0],
                ));
            }
        };
        let inherited = std::env::vars_os();
        let inherited = inherited.filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        let order = HerdOrder {
            app,
            inherited: inherited.collect(),
            profile: self.options.profile.clone(),
            socket: PathBuf::new(),
            log_dir: PathBuf::new(),
            event_log: PathBuf::new(),
        };
        let environment = herder_config::environment(&order);
        let description = Description::of_app(order.app, environment);
        Ok(Description {
            format: self.format,
            verdict_file: self.verdict_file.clone(),
            hints: loaded.warnings.iter().map(one).collect(),
            ..description.map_err(|error| error.to_string())?
        })
    }
}

/// An option that the file would have to say.
fn said_beside(args: &RunArgs) -> Result<Option<String>, RunError> {
    let description = Description::of_args(args)?;
    let mut app = description.app;
    app.script = None;
    if args.workers.is_none() {
        app.workers = App::default().workers;
    }
    // It may come from the environment, for whatever needs it.
    let from_environment = std::env::var("HERDER_STORE").ok();
    app.store = app
        .store
        .filter(|url| Some(url) != from_environment.as_ref());
    if !description.tail.is_empty() {
        return Ok(Some("what stands behind --".to_owned()));
    }
    if !description.libraries.is_empty() {
        return Ok(Some("--library".to_owned()));
    }
    let differing = serde_json::to_value(&app).ok();
    let differing = differing.as_ref().and_then(|it| it.as_object());
    let name = differing.and_then(|all| all.keys().next());
    Ok(name.map(|field| format!("--{}", super::words::option(field))))
}

/// All problems in one line.
fn told(problems: &[Problem]) -> String {
    problems.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// A problem with its place.
fn one(problem: &Problem) -> String {
    let place = problem.place.as_deref();
    let place = place.map_or_else(String::new, |place| format!("{place}: "));
    match &problem.hint {
        Some(hint) => format!("{place}{} {hint}", problem.message),
        None => format!("{place}{}", problem.message),
    }
}

/// The configuration with what it is made from once more. What was found out is written down with it.
fn defined(description: &Description, config: Config) -> Result<Config, RunError> {
    let mut app = description.app.clone();
    config.spec.name.as_str().clone_into(&mut app.name);
    if let Some(script) = &app.script {
        let script = super::entry::resolve(script, description.directory())?;
        // Of another language, its name says it as long as it is called so.
        if app.interpreter.is_none() && program::runner_by_name(&script).is_none() {
            let found = node::interpreter_of(&script, description)?;
            app.interpreter = Some(found.to_owned());
        }
        app.script = Some(script);
    }
    let definition = Definition {
        app,
        environment: description.environment.clone().unwrap_or_default(),
        whose: identity(&config.program).map(|it| Whose {
            uid: it.uid,
            gid: it.gid,
            groups: it.groups.clone(),
        }),
        socket: description.control.clone(),
        log_dir: description.log_dir.clone(),
        event_log: description.event_log.clone(),
    };
    let definition = serde_json::to_string(&definition)
        .expect("its maps have texts as keys, and its paths were texts");
    Ok(Config {
        definition,
        ..config
    })
}

fn identity(program: &Program) -> Option<&Identity> {
    match program {
        Program::Command(Command { identity, .. }) => identity.as_ref(),
        Program::Node(NodeProgram { command, .. }) => command.identity.as_ref(),
        Program::Itself => None,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_script_of_another_language_may_stand_in_a_file() {
        let scene = std::env::temp_dir().join(format!("herder-definition-{}", std::process::id()));
        std::fs::create_dir(&scene).expect("a directory");
        let write = |name: &str, text: &str| {
            std::fs::write(scene.join(name), text).expect("a file");
        };
        write("server.py", "");
        write("python3", "");
        let can_run = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(scene.join("python3"), can_run).expect("ours");
        let text = format!(
            "[apps.shop]\nscript = \"server.py\"\ndispatch = \"proxy\"\nlisten = \"127.0.0.1:0\"\n\
             env = {{ PATH = {scene:?} }}\n"
        );
        write("herder.toml", &text);
        let mut origin = Origin::File(Box::new(Apps {
            path: scene.join("herder.toml"),
            options: Options::default(),
            format: Format::Quiet,
            verdict_file: None,
        }));
        let argv = |config: &Config| match &config.program {
            Program::Command(command) => command.argv.clone(),
            other @ (Program::Itself | Program::Node(_)) => panic!("{other:?}"),
        };
        let config = origin.read().expect("it is right");
        let script = scene.join("server.py").into_os_string();
        assert_eq!(argv(&config), ["python3".into(), script]);
        // The next master makes the same of what was written down, whatever is there by then.
        std::fs::remove_dir_all(&scene).expect("ours");
        let again = origin.recall(&config.definition).expect("it is whole");
        assert_eq!(argv(&again), argv(&config));
    }
}
