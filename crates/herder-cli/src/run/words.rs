//! How settings are called, for whoever has to hear that one is wrong.

use std::fmt;

/// Where settings stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Words {
    /// In a definition: `boot_timeout = "5s"`.
    Fields,
    /// On the command line: `--boot-timeout 5s`.
    Options,
}

/// A setting, which is shown as it is called where it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Setting {
    words: Words,
    field: &'static str,
    /// Which one, of settings with names of their own.
    entry: Option<Box<str>>,
}

impl Words {
    /// The setting of this field.
    pub(crate) fn of(self, field: &'static str) -> Setting {
        Setting {
            words: self,
            field,
            entry: None,
        }
    }

    /// One of the settings of this field that have names: a library, a job.
    pub(crate) fn entry(self, field: &'static str, entry: impl Into<Box<str>>) -> Setting {
        Setting {
            entry: Some(entry.into()),
            ..self.of(field)
        }
    }
}

impl Setting {
    /// The setting with a value that would be right.
    pub(crate) fn with(&self, value: &str) -> String {
        match self.words {
            Words::Fields => format!("{self} = {value:?}"),
            Words::Options if self.entry.is_some() => format!("{self}={value}"),
            Words::Options if value.contains(' ') => format!("{self} '{value}'"),
            Words::Options => format!("{self} {value}"),
        }
    }

    /// Another setting of the same place.
    pub(crate) fn other(&self, field: &'static str) -> Setting {
        self.words.of(field)
    }

    /// What helps when a setting does not belong there.
    pub(crate) fn leave_out(&self) -> &'static str {
        match self.words {
            Words::Fields => "leave it out",
            Words::Options => "leave the option out",
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.words {
            Words::Fields => f.write_str(self.field)?,
            Words::Options => write!(f, "--{}", option(self.field))?,
        }
        match (&self.entry, self.words) {
            (None, _) => Ok(()),
            (Some(entry), Words::Fields) => write!(f, ".{entry}"),
            (Some(entry), Words::Options) => write!(f, " {entry}"),
        }
    }
}

/// The option for a field: of some there is one for each entry.
pub(super) fn option(field: &str) -> String {
    match field {
        "libraries" => "library".to_owned(),
        "jobs" => "job".to_owned(),
        "node_shim" => "no-node-shim".to_owned(),
        field => field.replace('_', "-"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_called_as_where_it_stands() {
        let (fields, options) = (Words::Fields, Words::Options);
        assert_eq!(fields.of("boot_timeout").to_string(), "boot_timeout");
        assert_eq!(options.of("boot_timeout").to_string(), "--boot-timeout");
        assert_eq!(fields.entry("jobs", "nightly").to_string(), "jobs.nightly");
        assert_eq!(
            options.entry("jobs", "nightly").to_string(),
            "--job nightly"
        );
        assert_eq!(options.of("dispatch").with("shared"), "--dispatch shared");
        assert_eq!(options.entry("state", "a").with("store"), "--state a=store");
        assert_eq!(
            options.of("node_args").with("--import tsx"),
            "--node-args '--import tsx'"
        );
        let dispatch = fields.of("policy").other("dispatch");
        assert_eq!(dispatch.with("shared"), "dispatch = \"shared\"");
    }
}
