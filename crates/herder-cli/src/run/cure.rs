//! What to do about a script that is not Node's.

use std::ffi::OsStr;
use std::path::Path;

use herder_api::app::Workers;

use super::description::Description;
use super::program::runner_by_name;
use super::words::Words;
use crate::launcher::quoted;

/// Where the herd could listen, if nobody has said it.
const LISTEN: &str = "8080";

/// What to do about it.
pub(super) fn of(script: &Path, description: &Description) -> String {
    if script.extension() == Some(OsStr::new("php")) {
        return php(script, description);
    }
    match runner_by_name(script) {
        Some(runner) => of_another_language(script, runner, description),
        None => of_nobody(description),
    }
}

/// It may be anything.
fn of_nobody(description: &Description) -> String {
    let instead = match description.words {
        Words::Fields => "make it a command",
        Words::Options => "write -- before the program",
    };
    let interpreter = description.setting("interpreter");
    format!("name its {interpreter}, or {instead}")
}

/// Such a script is run by its name behind a proxy, and else is a command.
fn of_another_language(script: &Path, runner: &[&str], description: &Description) -> String {
    let script = script.to_string_lossy();
    let words = runner.iter().copied().chain([&*script]);
    let command = match description.words {
        Words::Fields => format!("command = {:?}", words.collect::<Vec<_>>()),
        Words::Options => {
            let words: Vec<String> = words.map(quoted).collect();
            format!("-- {}", words.join(" "))
        }
    };
    let proxy = behind_a_proxy(description);
    format!(
        "if it listens on PORT, add {proxy}; if it takes its listeners as under systemd, write {command} in \
         its place"
    )
}

/// The settings by which it is behind a proxy.
fn behind_a_proxy(description: &Description) -> String {
    let setting = |field, value| description.setting(field).with(value);
    let proxy = setting("dispatch", "proxy");
    match &*description.app.listen {
        [] => format!("{proxy} and {}", setting("listen", LISTEN)),
        [..] => proxy,
    }
}

/// What it needs is a server, and PHP's own takes its address on the command line: a shell puts the port there
/// that a worker behind a proxy gets.
fn php(script: &Path, description: &Description) -> String {
    let script = script.to_string_lossy();
    let line = format!("exec php -S 127.0.0.1:$PORT {}", quoted(&script));
    let instead = match description.words {
        Words::Fields => {
            let proxy = behind_a_proxy(description);
            format!("write command = [\"sh\", \"-c\", {line:?}] in its place, with {proxy}")
        }
        Words::Options => format!("type: {}", typed(&line, description)),
    };
    format!("PHP's own server has it answer behind a proxy; {instead}")
}

/// The herd that runs this line of a shell behind a proxy.
fn typed(line: &str, description: &Description) -> String {
    let usual = [LISTEN.to_owned()];
    let listen = match &*description.app.listen {
        [] => &usual[..],
        given => given,
    };
    let mut words = vec!["herder".to_owned(), "run".to_owned()];
    for address in listen {
        let typed = address.strip_prefix("*:").unwrap_or(address);
        words.extend(["--listen".to_owned(), quoted(typed)]);
    }
    if let Workers::Count(count) = description.app.workers {
        words.extend(["--workers".to_owned(), count.to_string()]);
    }
    words.extend(["--dispatch", "proxy", "--", "sh", "-c"].map(str::to_owned));
    words.push(quoted(line));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use herder_api::app::Max;

    use super::*;

    fn told(script: &str, words: Words, listen: &[&str]) -> String {
        let mut description = Description::bare(words);
        description.app.workers = Workers::Max(Max::Max);
        told_of(script, description, listen)
    }

    fn told_of(script: &str, mut description: Description, listen: &[&str]) -> String {
        description.app.listen = listen.iter().copied().map(str::to_owned).collect();
        of(Path::new(script), &description)
    }

    fn php(script: &str, words: Words, listen: &[&str]) -> String {
        let told = told(script, words, listen);
        let told = told.strip_prefix("PHP's own server has it answer behind a proxy; ");
        told.expect("it begins so").to_owned()
    }

    #[test]
    fn what_may_be_anything_needs_to_be_named() {
        assert_eq!(
            told("notes.txt", Words::Options, &[]),
            "name its --interpreter, or write -- before the program"
        );
        assert_eq!(
            told("notes.txt", Words::Fields, &[]),
            "name its interpreter, or make it a command"
        );
    }

    #[test]
    fn another_language_listens_on_a_port_or_takes_listeners() {
        assert_eq!(
            told("shop.py", Words::Options, &[]),
            "if it listens on PORT, add --dispatch proxy and --listen 8080; if it takes its listeners as under \
             systemd, write -- python3 shop.py in its place"
        );
        assert_eq!(
            told("our shop.jar", Words::Options, &["*:80"]),
            "if it listens on PORT, add --dispatch proxy; if it takes its listeners as under systemd, write \
             -- java -jar 'our shop.jar' in its place"
        );
        assert_eq!(
            told("shop.rb", Words::Fields, &[]),
            r#"if it listens on PORT, add dispatch = "proxy" and listen = "8080"; if it takes its listeners as under systemd, write command = ["ruby", "shop.rb"] in its place"#
        );
    }

    #[test]
    fn a_server_behind_a_proxy_is_what_to_type() {
        assert_eq!(
            php("shop.php", Words::Options, &[]),
            "type: herder run --listen 8080 --dispatch proxy -- sh -c 'exec php -S 127.0.0.1:$PORT shop.php'"
        );
        assert_eq!(
            php("a b.php", Words::Options, &["127.0.0.1:80", "unix:/s"]),
            r"type: herder run --listen 127.0.0.1:80 --listen unix:/s --dispatch proxy -- sh -c 'exec php -S 127.0.0.1:$PORT '\''a b.php'\'''"
        );
    }

    #[test]
    fn what_was_typed_of_the_herd_is_typed_again() {
        let mut description = Description::bare(Words::Options);
        description.app.workers = Workers::Count(3);
        let told = told_of("shop.php", description, &["*:80"]);
        let begin = "PHP's own server has it answer behind a proxy; type: herder run --listen 80 --workers 3 --dispatch proxy -- sh";
        assert!(told.starts_with(begin), "{told}");
    }

    #[test]
    fn a_server_behind_a_proxy_is_what_to_write() {
        let command =
            r#"write command = ["sh", "-c", "exec php -S 127.0.0.1:$PORT shop.php"] in its place"#;
        assert_eq!(
            php("shop.php", Words::Fields, &[]),
            format!(r#"{command}, with dispatch = "proxy" and listen = "8080""#)
        );
        assert_eq!(
            php("shop.php", Words::Fields, &["80"]),
            format!(r#"{command}, with dispatch = "proxy""#)
        );
    }
}
