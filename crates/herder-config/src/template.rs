//! The file that `herder init` writes.

/// A commented `herder.toml` to begin with.
#[must_use]
pub fn init() -> &'static str {
    include_str!("template.toml")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::tests::Scene;
    use crate::{Options, load_text, settings};

    fn load(text: &str) -> crate::Loaded {
        let scene = Scene::new("template");
        for file in ["app.js", "server.py", "worker.js", "rates.js", "shop.py"] {
            scene.write(file, "");
        }
        for file in ["chain.pem", "key.pem", "other.pem", "other.key"] {
            scene.write(file, "");
        }
        let loaded = load_text(
            text,
            Path::new("herder.toml"),
            scene.path(),
            &Options::default(),
        );
        loaded.unwrap_or_else(|problems| panic!("{problems:#?}"))
    }

    #[test]
    fn the_file_is_right_as_it_stands() {
        let loaded = load(init());
        assert_eq!(loaded.apps.len(), 1);
        assert_eq!(loaded.apps[0].name, "web");
    }

    /// A comment that could be a setting begins with `#` and no blank.
    #[test]
    fn what_stands_in_comments_is_right_too() {
        let text = init().lines().map(|line| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '[') => rest,
            _ => line,
        });
        let text: Vec<&str> = text.collect();
        let loaded = load(&text.join("\n"));
        assert_eq!(loaded.apps.len(), 4);
    }

    #[test]
    fn every_setting_is_named() {
        let missing = settings::all()
            .iter()
            .filter(|name| **name != "name" && !init().contains(*name));
        assert_eq!(missing.collect::<Vec<_>>(), Vec::<&&str>::new());
    }
}
