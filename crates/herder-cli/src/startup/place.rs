//! For whom a service is, and where its files are: decided from what is asked for and who asks.

use std::path::PathBuf;

use herder_api::Problem;
use herder_api::problem::ProblemKind;

use super::{Init, quoted};

/// What is asked for, and who asks.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Wish {
    /// Which init system; absent = the one that was found.
    pub(crate) init: Option<Init>,
    /// The one that was found.
    pub(crate) found: Option<Init>,
    /// Who the service is to run as.
    pub(crate) user: Option<String>,
    /// What it is to be called.
    pub(crate) name: Option<String>,
    /// Who asks.
    pub(crate) caller: String,
    /// Whether that is root.
    pub(crate) is_root: bool,
    /// Who became root by sudo.
    pub(crate) sudo_user: Option<String>,
    /// Whether nothing is to be changed, so that no rights are needed.
    pub(crate) only_shown: bool,
    /// The directory of the caller's configuration.
    pub(crate) configuration: PathBuf,
    /// The command, for one that is to be repeated by root: `startup` or `unstartup`.
    pub(crate) verb: &'static str,
    /// The command's own file.
    pub(crate) program: PathBuf,
    /// Where the caller finds programs.
    pub(crate) path: String,
    /// The caller's `HERDER_HOME`, if it is set.
    pub(crate) home: Option<PathBuf>,
}

/// Where a service belongs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub(crate) init: Init,
    /// Whether it is a service of the machine, and not of the caller alone.
    pub(crate) is_of_machine: bool,
    /// Who it runs as.
    pub(crate) user: String,
    /// Its name, without an ending.
    pub(crate) name: String,
    /// The directory of its file.
    pub(crate) directory: PathBuf,
}

/// Decides it.
///
/// # Errors
/// There is no init system, the name is none, or the caller may not: then the problem has the command that
/// root has to run.
pub(crate) fn place(wish: &Wish) -> Result<Place, Problem> {
    let init = wish.init.or(wish.found).ok_or_else(no_init)?;
    let user = match (&wish.user, &wish.sudo_user) {
        (Some(user), _) => user.clone(),
        (None, Some(user)) if wish.is_root => user.clone(),
        (None, _) => wish.caller.clone(),
    };
    let is_of_machine = wish.is_root || wish.user.is_some() || init == Init::Openrc;
    let name = match &wish.name {
        Some(name) => checked(name)?,
        None if is_of_machine => format!("herder-{user}"),
        None => "herder".to_owned(),
    };
    let place = Place {
        directory: match init {
            Init::Systemd if is_of_machine => PathBuf::from("/etc/systemd/system"),
            Init::Systemd => wish.configuration.join("systemd/user"),
            Init::Openrc => PathBuf::from("/etc/init.d"),
        },
        init,
        is_of_machine,
        user,
        name,
    };
    if place.is_of_machine && !wish.is_root && !wish.only_shown {
        return Err(as_root(wish, &place));
    }
    Ok(place)
}

fn no_init() -> Problem {
    let text = "Neither systemd nor OpenRC starts the services of this machine.";
    let hint = "in a container: herder run, or herder daemon, as its command; elsewhere name one: \
                herder startup systemd --print";
    Problem::new(ProblemKind::NotFound, text).hint(hint)
}

/// The name of a service becomes that of a file.
fn checked(name: &str) -> Result<String, Problem> {
    let name = name.strip_suffix(".service").unwrap_or(name);
    let is_fine = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if !name.is_empty()
        && name.len() <= 128
        && name.chars().all(is_fine)
        && !name.starts_with(['.', '-'])
    {
        return Ok(name.to_owned());
    }
    let text = format!("{name:?} is no name for a service.");
    let hint = "use letters, digits, '.', '_' and '-'";
    let problem = Problem::new(ProblemKind::Invalid, text).hint(hint);
    Err(problem.place("--service-name"))
}

/// What root has to run.
fn as_root(wish: &Wish, place: &Place) -> Problem {
    let mut words = vec!["sudo".to_owned(), "env".to_owned()];
    words.push(format!("PATH={}", super::search_path(&wish.path)));
    // Of another user's home the caller's variables say nothing.
    if let Some(home) = wish.home.as_ref().filter(|_| place.user == wish.caller) {
        words.push(format!("HERDER_HOME={}", home.display()));
    }
    words.push(wish.program.display().to_string());
    words.push(wish.verb.to_owned());
    words.push(
        match place.init {
            Init::Systemd => "systemd",
            Init::Openrc => "openrc",
        }
        .to_owned(),
    );
    words.extend(["--user".to_owned(), place.user.clone()]);
    if let Some(name) = &wish.name {
        words.extend(["--service-name".to_owned(), name.clone()]);
    }
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    let text = "A service of the machine is root's to set up.";
    Problem::new(ProblemKind::Forbidden, text).hint(words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish() -> Wish {
        Wish {
            found: Some(Init::Systemd),
            caller: "me".to_owned(),
            configuration: PathBuf::from("/home/me/.config"),
            verb: "startup",
            program: PathBuf::from("/opt/my tools/herder"),
            path: "/home/me/.nvm/bin:/usr/bin".to_owned(),
            ..Wish::default()
        }
    }

    #[test]
    fn a_user_gets_a_service_of_his_own() {
        let place = place(&wish()).unwrap();
        assert!(!place.is_of_machine);
        assert_eq!(
            place.directory,
            PathBuf::from("/home/me/.config/systemd/user")
        );
        assert_eq!((place.name.as_str(), place.user.as_str()), ("herder", "me"));
    }

    #[test]
    fn root_gets_one_of_the_machine_for_whoever_became_root() {
        let mut wish = wish();
        wish.is_root = true;
        wish.caller = "root".to_owned();
        assert_eq!(place(&wish).unwrap().name, "herder-root");
        wish.sudo_user = Some("me".to_owned());
        let found = place(&wish).unwrap();
        assert_eq!(
            (found.name.as_str(), found.user.as_str()),
            ("herder-me", "me")
        );
        assert!(found.is_of_machine);
        wish.user = Some("web".to_owned());
        wish.name = Some("apps.service".to_owned());
        let found = place(&wish).unwrap();
        assert_eq!((found.name.as_str(), found.user.as_str()), ("apps", "web"));
    }

    #[test]
    fn who_may_not_is_told_what_root_has_to_run() {
        let mut wish = wish();
        wish.user = Some("me".to_owned());
        wish.home = Some(PathBuf::from("/home/me/h"));
        let problem = place(&wish).unwrap_err();
        assert_eq!(problem.kind, ProblemKind::Forbidden);
        assert_eq!(
            problem.hint.as_deref(),
            Some(
                "sudo env PATH=/home/me/.nvm/bin:/usr/bin:/usr/local/bin:/bin HERDER_HOME=/home/me/h \
                 '/opt/my tools/herder' startup systemd --user me"
            )
        );
        wish.user = Some("web".to_owned());
        let problem = place(&wish).unwrap_err();
        assert!(!problem.hint.unwrap().contains("HERDER_HOME"));
        wish.only_shown = true;
        assert!(place(&wish).is_ok(), "looking needs no rights");
    }

    #[test]
    fn what_is_missing_or_wrong_is_told() {
        let none = Wish {
            found: None,
            ..wish()
        };
        assert_eq!(place(&none).unwrap_err().kind, ProblemKind::NotFound);
        for name in ["", "../x", "a b", "-x", ".service", "a/b"] {
            let wish = Wish {
                name: Some(name.to_owned()),
                ..wish()
            };
            let problem = place(&wish).unwrap_err();
            assert_eq!(problem.kind, ProblemKind::Invalid, "{name}");
        }
    }
}
