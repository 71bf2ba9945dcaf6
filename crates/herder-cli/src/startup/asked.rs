//! What `startup` and `unstartup` have in common: their arguments, and what follows from them here.

use std::path::{Component, Path, PathBuf};

use herder_api::Problem;
use herder_api::problem::ProblemKind;
use herder_sys::user::{self, Account};

use super::{Init, Place, Service, Tools, Wish, find, place, search_path};

// Which service. (No documentation: clap would take it for the verbs' own.)
#[derive(clap::Args, Debug)]
pub(crate) struct Which {
    /// What starts the services of this machine. [default: what is found]
    #[arg(value_name = "SYSTEM")]
    pub(crate) init: Option<Init>,

    /// Whose daemon it is: a service of the machine, which root sets up. [default: yours]
    #[arg(short, long, value_name = "NAME")]
    pub(crate) user: Option<String>,

    /// What the service is called. [default: herder, or herder-USER as a service of the machine]
    #[arg(long, value_name = "NAME")]
    pub(crate) service_name: Option<String>,
}

/// What was decided.
#[derive(Debug)]
pub(crate) struct Decided {
    pub(crate) place: Place,
    pub(crate) service: Service,
    pub(crate) tools: Tools,
}

/// Whether something will be changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    Show,
    Change,
}

/// Decides which service is meant. `home`: the caller's `HERDER_HOME`.
///
/// # Errors
/// There is no such user or init system, or root has to do it.
pub(crate) fn decide(
    which: &Which,
    verb: &'static str,
    home: &Path,
    purpose: Purpose,
) -> Result<Decided, Problem> {
    let tools = Tools::look();
    let caller = account(&user::effective_uid().to_string())?;
    let program = program()?;
    let path = std::env::var("PATH").unwrap_or_default();
    let sudo_user = std::env::var("SUDO_USER").ok();
    let wish = Wish {
        init: which.init,
        found: tools.init,
        user: which.user.clone(),
        name: which.service_name.clone(),
        caller: caller.name.clone(),
        is_root: user::is_root(),
        sudo_user: sudo_user.filter(|name| !name.is_empty()),
        only_shown: purpose == Purpose::Show,
        configuration: configuration(&caller),
        verb,
        program: program.clone(),
        path: path.clone(),
        home: std::env::var_os("HERDER_HOME").map(|_| home.to_owned()),
    };
    let place = place(&wish)?;
    let whose = account(&place.user)?;
    // What sudo leaves of HOME is the caller's, or root's: of another's it says nothing. HERDER_HOME is in
    // the command that we tell people to run.
    let is_own = whose.uid == caller.uid || wish.home.is_some();
    let service = Service {
        name: place.name.clone(),
        user: (whose.uid != 0).then(|| whose.name.clone()),
        is_root: whose.uid == 0,
        program,
        home: if is_own {
            home.to_owned()
        } else {
            whose.home.join(".herder")
        },
        path: search_path(&path),
    };
    Ok(Decided {
        place,
        service,
        tools,
    })
}

fn account(name: &str) -> Result<Account, Problem> {
    let found = user::account(name).map_err(|error| {
        let text = format!("The users of this machine cannot be looked up: {error}.");
        Problem::new(ProblemKind::Internal, text)
    })?;
    found.ok_or_else(|| {
        let text = format!("There is no user {name:?}.");
        Problem::new(ProblemKind::Invalid, text).place("--user")
    })
}

/// The directory of a user's configuration.
fn configuration(whose: &Account) -> PathBuf {
    let told = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let told = told.filter(|path| path.is_absolute());
    told.unwrap_or_else(|| whose.home.join(".config"))
}

/// The file by which this command was called: an upgrade may replace it, or lead its link elsewhere.
pub(crate) fn program() -> Result<PathBuf, Problem> {
    let runs = std::env::current_exe().map_err(|error| {
        let text = format!("The file of this command cannot be found: {error}.");
        Problem::new(ProblemKind::Internal, text)
    })?;
    let word = std::env::args_os().next().map(PathBuf::from);
    Ok(word.and_then(|word| called(&word, &runs)).unwrap_or(runs))
}

/// The absolute path that `word` stands for, if that is the file that runs.
fn called(word: &Path, runs: &Path) -> Option<PathBuf> {
    let is_name = !word.as_os_str().as_encoded_bytes().contains(&b'/');
    let path = if is_name {
        find(word.to_str()?, std::env::var_os("PATH").as_deref())?
    } else {
        std::env::current_dir().ok()?.join(word)
    };
    let is_it = path.canonicalize().ok()? == runs.canonicalize().ok()?;
    let leads_up = path.components().any(|part| part == Component::ParentDir);
    (is_it && !leads_up && path.is_absolute()).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_named_as_it_was_called() {
        let scene = std::env::temp_dir().join(format!("herder-called-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&scene));
        std::fs::create_dir_all(&scene).expect("a directory");
        let runs = std::env::current_exe().expect("a test is a program");
        let link = scene.join("herder");
        std::os::unix::fs::symlink(&runs, &link).expect("a link");
        assert_eq!(called(&link, &runs), Some(link.clone()));
        assert_eq!(called(Path::new("/bin/sh"), &runs), None);
        assert_eq!(called(Path::new("herder-no-such-program"), &runs), None);
        std::fs::remove_dir_all(&scene).expect("it is ours");
    }
}
