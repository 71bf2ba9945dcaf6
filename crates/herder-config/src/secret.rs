//! What is never shown.

use std::collections::BTreeMap;

use herder_api::App;
use herder_api::app::Scalar;

/// What is shown in place of a secret.
pub(crate) const HIDDEN: &str = "***";

/// Parts of names of what is secret, in capital letters.
const PARTS: [&str; 15] = [
    "PASS",
    "PWD",
    "SECRET",
    "TOKEN",
    "KEY",
    "AUTH",
    "CREDENTIAL",
    "DSN",
    "PRIVATE",
    "SALT",
    "COOKIE",
    "SIGNATURE",
    "BEARER",
    "WEBHOOK",
    "CERT",
];

/// Names that only look so.
const HARMLESS: [&str; 5] = ["PWD", "OLDPWD", "SSH_AUTH_SOCK", "XAUTHORITY", "KEYBOARD"];

/// Whether a variable of this name will hold a secret: PASS, SECRET, TOKEN, KEY, AUTH, CREDENTIAL, DSN and the like are in it.
#[must_use]
pub fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    !HARMLESS.contains(&name.as_str()) && PARTS.iter().any(|part| name.contains(part))
}

/// A definition that can be shown: values that look like secrets are `***`, in variables, addresses and arguments.
#[must_use]
pub fn redact(app: &App) -> App {
    let mut app = app.clone();
    for (name, value) in app
        .env
        .iter_mut()
        .chain(app.profiles.values_mut().flatten())
    {
        let text = String::from(value.clone());
        let shown = redact_value(name, &text);
        if shown != text {
            *value = Scalar::Text(shown);
        }
    }
    app.store = app.store.map(|_| HIDDEN.to_owned());
    for arguments in [&mut app.command, &mut app.args, &mut app.node_args] {
        redact_arguments(arguments);
    }
    if let Some(health) = &mut app.health {
        redact_arguments(&mut health.exec);
        health.http = health.http.take().map(|url| without_password(&url));
    }
    app
}

/// An environment that can be shown.
#[must_use]
pub fn redact_environment(environment: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let shown = |(name, value): (&String, &String)| (name.clone(), redact_value(name, value));
    environment.iter().map(shown).collect()
}

fn redact_value(name: &str, value: &str) -> String {
    match is_secret(name) && !value.is_empty() {
        true => HIDDEN.to_owned(),
        false => without_password(value),
    }
}

/// `--token=x`, `--token x`, `PASSWORD=x`, and URLs with passwords.
fn redact_arguments(arguments: &mut [String]) {
    let mut is_next = false;
    for argument in arguments {
        let is_option = argument.starts_with('-');
        if std::mem::take(&mut is_next) && !is_option {
            HIDDEN.clone_into(argument);
            continue;
        }
        let words = argument.split_inclusive(char::is_whitespace);
        let shown: String = words.map(redact_word).collect();
        is_next = is_option && !argument.contains(['=', ' ']) && is_secret(argument);
        *argument = shown;
    }
}

/// A word of an argument; blanks behind it stay.
fn redact_word(word: &str) -> String {
    let blanks = &word[word.trim_end().len()..];
    match word.split_once('=') {
        Some((name, value)) if is_secret(name) && !value.trim().is_empty() => {
            format!("{name}={HIDDEN}{blanks}")
        }
        _ => without_password(word),
    }
}

/// A text in which no URL has a password: `scheme://name:***@host`.
fn without_password(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        let end = after.find(|c: char| c.is_whitespace() || "/?#'\"".contains(c));
        let (authority, behind) = after.split_at(end.unwrap_or(after.len()));
        match authority.rsplit_once('@') {
            Some((user, host)) => match user.split_once(':') {
                Some((name, _)) => shown.push_str(&format!("{name}:{HIDDEN}@{host}")),
                // A name alone may be a token.
                None => shown.push_str(&format!("{HIDDEN}@{host}")),
            },
            None => shown.push_str(authority),
        }
        rest = behind;
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_is_secret() {
        for name in [
            "DB_PASSWORD",
            "MYSQL_PWD",
            "api_key",
            "AWS_SECRET_ACCESS_KEY",
            "GITHUB_TOKEN",
            "SENTRY_DSN",
            "BASIC_AUTH",
            "GOOGLE_CREDENTIALS",
            "SESSION_SECRET",
            "passphrase",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in [
            "PATH",
            "PORT",
            "HOME",
            "PWD",
            "SSH_AUTH_SOCK",
            "NODE_ENV",
            "LANG",
        ] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn nothing_secret_is_shown() {
        let mut app = App {
            command: [
                "./server",
                "--token",
                "canary",
                "--api-key=canary",
                "postgres://me:canary@db/x",
                "--port",
                "80",
            ]
            .map(str::to_owned)
            .to_vec(),
            args: vec!["PASSWORD=canary node x.js; curl http://canary@host/a b".to_owned()],
            store: Some("redis://:canary@host".to_owned()),
            ..App::default()
        };
        let mut variable = |name: &str, value: &str| {
            app.env
                .insert(name.to_owned(), Scalar::Text(value.to_owned()));
        };
        variable("PASSWORD", "canary");
        variable(
            "DATABASE_URL",
            "postgres://me:canary:x@host:5432/db?x=1 and mysql://a:canary@b",
        );
        variable("PLAIN", "http://host:80/a@b");
        let profile = [("SECRET_KEY".to_owned(), Scalar::Integer(4711))];
        app.profiles.insert("production".to_owned(), profile.into());
        let shown = serde_json::to_string(&redact(&app)).unwrap();
        assert!(
            !shown.contains("canary") && !shown.contains("4711"),
            "{shown}"
        );
        assert!(
            shown.contains("postgres://me:***@host:5432/db?x=1 and mysql://a:***@b"),
            "{shown}"
        );
        assert!(shown.contains("http://host:80/a@b"), "{shown}");
        assert!(shown.contains("\"--port\",\"80\""), "{shown}");
        let environment = [
            ("TOKEN".to_owned(), "canary".to_owned()),
            ("A".to_owned(), "b".to_owned()),
        ];
        let shown = redact_environment(&environment.into());
        assert_eq!((shown["TOKEN"].as_str(), shown["A"].as_str()), ("***", "b"));
    }
}
