//! Names of a signature as names of TypeScript.

/// Words that name no parameter.
const RESERVED: [&str; 46] = [
    "arguments",
    "await",
    "break",
    "case",
    "catch",
    "class",
    "const",
    "continue",
    "debugger",
    "default",
    "delete",
    "do",
    "else",
    "enum",
    "eval",
    "export",
    "extends",
    "false",
    "finally",
    "for",
    "function",
    "if",
    "implements",
    "import",
    "in",
    "instanceof",
    "interface",
    "let",
    "new",
    "null",
    "package",
    "private",
    "protected",
    "public",
    "return",
    "static",
    "super",
    "switch",
    "this",
    "throw",
    "true",
    "try",
    "typeof",
    "var",
    "void",
    "while",
];

/// The name of a parameter: its own, as far as it can be one.
pub(super) fn parameter(name: &str, place: usize) -> String {
    if !is_identifier(name) {
        format!("arg{place}")
    } else if RESERVED.contains(&name) || ["options", "with", "yield"].contains(&name) {
        format!("{name}_")
    } else {
        name.to_owned()
    }
}

/// The name of a member, in quotes if it must be.
pub(super) fn member(name: &str) -> String {
    if is_identifier(name) {
        name.to_owned()
    } else {
        serde_json::Value::from(name).to_string()
    }
}

/// The name of a type: `rate-limits` is `RateLimits`.
pub(super) fn type_name(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric() && c != '$');
    let capital = |word: &str| {
        let mut letters = word.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    };
    let joined: String = words.map(capital).collect();
    match joined.chars().next() {
        Some(first) if !first.is_ascii_digit() => joined,
        Some(_) | None => format!("_{joined}"),
    }
}

/// A comment for the editor, or nothing.
pub(super) fn comment(text: &str, indent: &str) -> String {
    let text = text.trim().replace("*/", "*\u{200b}/");
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    match lines[..] {
        [] => String::new(),
        [line] => format!("{indent}/** {line} */\n"),
        _ => {
            let body: String = lines
                .iter()
                .map(|line| format!("{indent} * {line}").trim_end().to_owned() + "\n")
                .collect();
            format!("{indent}/**\n{body}{indent} */\n")
        }
    }
}

fn is_identifier(name: &str) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == '$';
    name.starts_with(first) && name.chars().all(|c| first(c) || c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_becomes_one() {
        assert_eq!(parameter("key", 0), "key");
        assert_eq!(parameter("in", 0), "in_");
        assert_eq!(parameter("options", 1), "options_");
        assert_eq!(parameter("a-b", 2), "arg2");
        assert_eq!(member("get_fresh"), "get_fresh");
        assert_eq!(member("a-b"), "\"a-b\"");
        assert_eq!(type_name("rate-limits"), "RateLimits");
        assert_eq!(type_name("2d"), "_2d");
        assert_eq!(comment("", "  "), "");
        assert_eq!(comment("ends */ here", ""), "/** ends *\u{200b}/ here */\n");
        assert_eq!(comment("a\n\nb", " "), " /**\n  * a\n  *\n  * b\n  */\n");
    }
}
