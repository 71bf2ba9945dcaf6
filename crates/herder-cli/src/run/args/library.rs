//! A library, as the command line names it.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use herder_core::spec::LibraryName;

/// `NAME=FILE`.
#[derive(Clone, Debug)]
pub(crate) struct LibraryArg {
    name: LibraryName,
    file: PathBuf,
}

impl FromStr for LibraryArg {
    type Err = String;

    fn from_str(text: &str) -> Result<LibraryArg, String> {
        let Some((name, file)) = text.split_once('=').filter(|(_, file)| !file.is_empty()) else {
            return Err("write NAME=SCRIPT, for instance core=./core.js".to_owned());
        };
        let name = name.parse::<LibraryName>();
        Ok(LibraryArg {
            name: name.map_err(|error| error.to_string())?,
            file: file.into(),
        })
    }
}

impl LibraryArg {
    /// How agents ask for it.
    pub(crate) fn name(&self) -> LibraryName {
        self.name
    }

    pub(crate) fn file(&self) -> &Path {
        &self.file
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_is_a_name_and_a_file() {
        let arg: LibraryArg = "core=lib/core.js".parse().expect("right");
        assert_eq!(
            (arg.name.as_str(), arg.file),
            ("core", "lib/core.js".into())
        );
        for wrong in ["core", "core=", "=x", "Core=x.js"] {
            assert!(wrong.parse::<LibraryArg>().is_err(), "{wrong}");
        }
    }
}
