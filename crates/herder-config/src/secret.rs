//! What is never shown.

use std::collections::BTreeMap;

use herder_api::App;
use herder_api::app::Scalar;

/// What is shown in place of a secret.
const HIDDEN: &str = "***";

/// Whether a variable of this name will hold a secret.
#[must_use]
pub fn is_secret(name: &str) -> bool {
    const PARTS: [&str; 12] = [
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
    ];
    let name = name.to_ascii_uppercase();
    !matches!(name.as_str(), "PWD" | "OLDPWD") && PARTS.iter().any(|part| name.contains(part))
}

/// A definition that can be shown: values that look like secrets are `***`.
#[must_use]
pub fn redact(app: &App) -> App {
    let mut app = app.clone();
    for (name, value) in app
        .env
        .iter_mut()
        .chain(app.profiles.values_mut().flatten())
    {
        if is_secret(name) {
            *value = Scalar::Text(HIDDEN.to_owned());
        }
    }
    app
}

/// An environment that can be shown.
#[must_use]
pub fn redact_environment(environment: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let shown = |name: &String, value: &String| match is_secret(name) {
        true => HIDDEN.to_owned(),
        false => value.clone(),
    };
    environment
        .iter()
        .map(|(name, value)| (name.clone(), shown(name, value)))
        .collect()
}
