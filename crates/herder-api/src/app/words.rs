//! Texts, one or many; and the namespace of who names none.

use serde::Deserialize;

/// The namespace of who names none.
pub const DEFAULT_NAMESPACE: &str = "default";

pub(super) fn is_default_namespace(name: &str) -> bool {
    name == DEFAULT_NAMESPACE
}

/// One text, or a list of them. A number is as good: `listen = 8080`.
#[derive(Deserialize)]
#[serde(untagged, expecting = "use a text or a list of texts")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) enum OneOrMany {
    One(Word),
    Many(Vec<Word>),
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "use a text or a number")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) enum Word {
    Text(String),
    Number(i64),
}

pub(super) fn one_or_many<'de, D: serde::Deserializer<'de>>(
    from: D,
) -> Result<Vec<String>, D::Error> {
    let text = |word| match word {
        Word::Text(text) => text,
        Word::Number(number) => number.to_string(),
    };
    Ok(match OneOrMany::deserialize(from)? {
        OneOrMany::One(word) => vec![text(word)],
        OneOrMany::Many(words) => words.into_iter().map(text).collect(),
    })
}
