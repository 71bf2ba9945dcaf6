//! What a shell needs to complete a line: the verbs and options that are known here, and the names of apps,
//! for which it asks `herder complete`.

use std::path::PathBuf;

use clap::{Arg, Command};
use clap_complete::Shell as Known;

/// Stands for the names of apps while a script is generated.
const APPS: &str = "__HERDER_APPS__";

/// A shell that is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Shell {
    /// Where a user's own script belongs. `data` and `configuration`: the user's directories for that.
    pub(crate) fn file(self, data: PathBuf, configuration: PathBuf) -> PathBuf {
        match self {
            Shell::Bash => data.join("bash-completion/completions/herder"),
            Shell::Zsh => data.join("zsh/site-functions/_herder"),
            Shell::Fish => configuration.join("fish/completions/herder.fish"),
        }
    }

    /// What has to be said of it.
    pub(crate) fn note(self) -> &'static str {
        match self {
            Shell::Bash => "New shells use it, if the package bash-completion is installed.",
            Shell::Zsh => {
                "New shells use it, if .zshrc has, before compinit: \
                 fpath=(~/.local/share/zsh/site-functions $fpath)"
            }
            Shell::Fish => "New shells use it.",
        }
    }
}

/// The script for a shell.
pub(crate) fn script(shell: Shell, command: Command) -> String {
    let mut command = marked(command);
    let known = match shell {
        Shell::Bash => Known::Bash,
        Shell::Zsh => Known::Zsh,
        Shell::Fish => Known::Fish,
    };
    let mut bytes = Vec::new();
    clap_complete::generate(known, &mut command, "herder", &mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    match shell {
        Shell::Bash => text.replace(APPS, "$(command herder complete 2>/dev/null)"),
        Shell::Zsh => {
            let (head, rest) = text.split_once('\n').unwrap_or((&text, ""));
            let rest = rest.replace(&format!("({APPS})"), "_herder_app_names");
            format!("{head}\n{ZSH}{rest}")
        }
        Shell::Fish => text.replace(APPS, "") + &fish(&command),
    }
}

const ZSH: &str = "
_herder_app_names() {
    local -a apps
    apps=(${(f)\"$(command herder complete 2>/dev/null)\"})
    compadd -a apps
    _files
}
";

/// Whether an argument is the names of apps.
fn is_apps(arg: &Arg) -> bool {
    let names = arg.get_value_names().unwrap_or_default();
    arg.is_positional() && names.first().is_some_and(|name| name.starts_with("APP"))
}

/// The command, with what stands for names of apps where they belong.
fn marked(mut command: Command) -> Command {
    let verbs: Vec<String> = verbs_of_apps(&command)
        .map(|verb| verb.get_name().to_owned())
        .collect();
    for verb in verbs {
        command = command.mut_subcommand(verb, |verb| {
            verb.mut_args(|arg| match is_apps(&arg) {
                true => arg.value_parser([APPS]),
                false => arg,
            })
        });
    }
    command
}

fn verbs_of_apps(command: &Command) -> impl Iterator<Item = &Command> {
    let verbs = command.get_subcommands();
    verbs.filter(|verb| !verb.is_hide_set() && verb.get_arguments().any(is_apps))
}

/// The generator for fish leaves out what has no dash.
fn fish(command: &Command) -> String {
    let mut names = Vec::new();
    for verb in verbs_of_apps(command) {
        names.push(verb.get_name());
        names.extend(verb.get_visible_aliases());
    }
    format!(
        "complete -c herder -n \"__fish_seen_subcommand_from {}\" -a \"(command herder complete 2>/dev/null)\"\n",
        names.join(" ")
    )
}

/// Whether a shell takes it for a word, and nothing else.
pub(crate) fn is_plain(name: &str) -> bool {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    !name.is_empty() && name.chars().all(is_fine)
}

#[cfg(test)]
mod tests {
    use std::process::{Command as Process, Stdio};

    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    fn of(shell: Shell) -> String {
        script(shell, Cli::command())
    }

    #[test]
    fn names_of_apps_are_asked_for_where_apps_belong() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let text = of(shell);
            assert!(!text.contains(APPS), "{shell:?}");
            assert!(text.contains("herder complete 2>/dev/null"), "{shell:?}");
            assert!(text.contains("unstartup"), "{shell:?}");
        }
        let fish = of(Shell::Fish);
        let last = fish.lines().last().expect("it has lines");
        for verb in ["reload", "stop", "logs", "delete"] {
            assert!(last.contains(&format!(" {verb} ")), "{last}");
        }
        assert!(
            !last.contains(" ping ") && !last.contains(" doctor "),
            "{last}"
        );
    }

    #[test]
    fn every_shell_that_is_here_can_read_its_script() {
        let directory = std::env::temp_dir().join(format!("herder-shells-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        for (shell, name) in [
            (Shell::Bash, "bash"),
            (Shell::Zsh, "zsh"),
            (Shell::Fish, "fish"),
        ] {
            let file = directory.join(name);
            std::fs::write(&file, of(shell)).expect("a file");
            let read = Process::new(name)
                .arg("-n")
                .arg(&file)
                .stdin(Stdio::null())
                .output();
            // Which shells there are is the machine's business.
            if let Ok(read) = read {
                let said = String::from_utf8_lossy(&read.stderr);
                assert!(read.status.success() && said.is_empty(), "{name}: {said}");
            }
        }
        std::fs::remove_dir_all(&directory).expect("it is ours");
    }

    /// What bash itself makes of it, with a command that has two apps.
    #[test]
    fn bash_completes_verbs_and_apps() {
        use std::os::unix::fs::PermissionsExt;
        let directory = std::env::temp_dir().join(format!("herder-bash-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let stand_in = directory.join("herder");
        std::fs::write(&stand_in, "#!/bin/sh\necho web; echo api\n").expect("a file");
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&stand_in, mode).expect("it is ours");
        std::fs::write(directory.join("script"), of(Shell::Bash)).expect("a file");
        let complete = |line: &str, words: &str, at: u32| {
            let text = format!(
                "PATH={0}:$PATH; . {0}/script; COMP_WORDS=({words}); COMP_CWORD={at}; COMP_LINE='{line}'; \
                 set -- herder \"${{COMP_WORDS[$COMP_CWORD]}}\" \"${{COMP_WORDS[$COMP_CWORD-1]}}\"; \
                 _herder \"$@\"; echo \"${{COMPREPLY[@]}}\"",
                directory.display()
            );
            let ran = Process::new("bash")
                .args(["-c", &text])
                .stdin(Stdio::null())
                .output();
            String::from_utf8_lossy(&ran.expect("bash is here").stdout)
                .trim()
                .to_owned()
        };
        assert_eq!(complete("herder unst", "herder unst", 1), "unstartup");
        assert_eq!(complete("herder reload w", "herder reload w", 2), "web");
        assert!(complete("herder stop ", "herder stop ''", 2).ends_with("web api"));
        std::fs::remove_dir_all(&directory).expect("it is ours");
    }

    #[test]
    fn a_word_that_a_shell_would_obey_is_not_offered() {
        assert!(is_plain("web-1.x_y"));
        for name in ["", "$(reboot)", "a b", "`x`", "a;b", "ü"] {
            assert!(!is_plain(name), "{name}");
        }
    }
}
