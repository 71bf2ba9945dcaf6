//! What a launcher would start, as far as its words and `package.json` tell.

use std::path::Path;

use serde_json::Value;

/// How deep a script of a package that starts another one is followed.
const DEPTH: u8 = 5;

/// How a launcher stands in the way of a SCRIPT.
const KEEPS: &str =
    "would keep the channel to the master for itself, and start the program without it";
const IS_ENGINE: &str = "is what herder runs a SCRIPT with";

/// A script with what belongs to it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Meant {
    environment: Vec<String>,
    interpreter: Option<&'static str>,
    node_args: Vec<String>,
    script: String,
    arguments: Vec<String>,
}

impl Meant {
    /// When nobody can tell.
    pub(super) fn unknown() -> Meant {
        Meant::script("SCRIPT")
    }

    fn script(name: &str) -> Meant {
        Meant {
            script: name.to_owned(),
            ..Meant::default()
        }
    }

    /// A script, and its arguments with or without dashes before them.
    pub(super) fn script_with(words: &[String]) -> Option<Meant> {
        let (script, rest) = words.split_first()?;
        let dashes = rest.iter().position(|word| word == "--");
        let mut arguments = rest.to_vec();
        if let Some(place) = dashes {
            arguments.remove(place);
        }
        Some(Meant {
            arguments,
            ..Meant::script(script)
        })
    }

    /// What to type, with these options besides.
    pub(super) fn command(&self, options: &[String]) -> String {
        let mut words = self.environment.clone();
        words.extend(["herder", "run"].map(str::to_owned));
        words.extend(options.iter().map(|word| quoted(word)));
        if let Some(interpreter) = self.interpreter {
            words.extend(["--interpreter".to_owned(), interpreter.to_owned()]);
        }
        if !self.node_args.is_empty() {
            words.push(format!("--node-args='{}'", self.node_args.join(" ")));
        }
        words.push(quoted(&self.script));
        if !self.arguments.is_empty() {
            words.push("--".to_owned());
            words.extend(self.arguments.iter().map(|word| quoted(word)));
        }
        words.join(" ")
    }
}

/// How a program is called, wherever it is. `None`: it is somebody's own file, whatever its name.
pub(super) fn base_name(word: &str) -> Option<&str> {
    let installed = !word.contains('/') || word.starts_with('/') || word.contains(".bin/");
    installed.then(|| word.rsplit('/').next().unwrap_or(word))
}

/// What is wrong with these words as a SCRIPT.
pub(super) fn in_the_way(words: &[String]) -> Option<&'static str> {
    let engines = ["node", "nodejs", "deno", "bun"];
    let is_engine = engines.contains(&base_name(words.first()?)?);
    launcher(words).or(is_engine.then_some(IS_ENGINE))
}

/// What is wrong with these words, whoever starts them: they are a launcher's.
pub(super) fn launcher(words: &[String]) -> Option<&'static str> {
    let [first, rest @ ..] = words else {
        return None;
    };
    let launches = match base_name(first)? {
        "npm" | "npx" | "pnpm" | "pnpx" | "yarn" | "bunx" => true,
        "tsx" | "ts-node" | "ts-node-dev" | "nodemon" | "node-dev" => true,
        "pm2" | "pm2-runtime" | "forever" => true,
        "node" | "nodejs" => {
            let own = rest.iter().take_while(|word| word.starts_with('-'));
            own.into_iter().any(|word| starts_another(word))
        }
        _ => false,
    };
    launches.then_some(KEEPS)
}

/// Node's own options by which it starts the program in a process of its own.
fn starts_another(option: &str) -> bool {
    let name = option.split('=').next();
    matches!(name, Some("--watch" | "--watch-path" | "--run"))
}

/// What these words would start in the end.
pub(super) fn of(words: &[String], directory: &Path) -> Option<Meant> {
    follow(words, directory, DEPTH)
}

fn follow(words: &[String], directory: &Path, depth: u8) -> Option<Meant> {
    let depth = depth.checked_sub(1)?;
    let [first, rest @ ..] = words else {
        return None;
    };
    if is_variable(first) {
        let mut meant = follow(rest, directory, depth)?;
        meant.environment.insert(0, first.clone());
        return Some(meant);
    }
    match base_name(first).unwrap_or_default() {
        "node" | "nodejs" => node(rest, directory, depth),
        "deno" => engine("deno", rest),
        "bun" => engine("bun", rest),
        "npm" | "pnpm" | "yarn" => package(rest, directory, depth),
        "npx" | "pnpx" | "bunx" => follow(behind_options(rest), directory, depth),
        "cross-env" | "env" | "exec" => follow(behind_options(rest), directory, depth),
        "tsx" => with_loader(rest, "--import tsx"),
        "ts-node" | "ts-node-dev" => with_loader(rest, "--require ts-node/register"),
        "nodemon" | "node-dev" | "pm2" | "pm2-runtime" | "forever" => with_loader(rest, ""),
        _ if is_script(first) => Some(Meant {
            arguments: rest.to_vec(),
            ..Meant::script(first)
        }),
        _ => None,
    }
}

/// `node OPTIONS script ARGUMENTS`
fn node(words: &[String], directory: &Path, depth: u8) -> Option<Meant> {
    const WITH_VALUE: [&str; 8] = [
        "-C",
        "-r",
        "--conditions",
        "--env-file",
        "--import",
        "--loader",
        "--require",
        "--watch-path",
    ];
    let mut own = Vec::new();
    let mut rest = words;
    while let [word, behind @ ..] = rest {
        if !word.starts_with('-') {
            return Some(Meant {
                node_args: own,
                arguments: behind.to_vec(),
                ..Meant::script(word)
            });
        }
        let has_value = WITH_VALUE.contains(&word.as_str()) && !behind.is_empty();
        rest = &behind[usize::from(has_value)..];
        match word.split_once('=') {
            Some(("--run", name)) => return script_of_package(name, &[], directory, depth),
            None if word == "--run" => {
                return script_of_package(behind.first()?, &behind[1..], directory, depth);
            }
            // A text is no file.
            None if matches!(&**word, "-e" | "--eval" | "-p" | "--print" | "-" | "-i") => {
                return None;
            }
            Some(_) | None if starts_another(word) => {}
            Some(_) | None => {
                own.push(word.clone());
                own.extend(behind.first().filter(|_| has_value).cloned());
            }
        }
    }
    None
}

/// `deno run OPTIONS script ARGUMENTS`
fn engine(name: &'static str, words: &[String]) -> Option<Meant> {
    let words = match words {
        [verb, rest @ ..] if verb == "run" => rest,
        words => words,
    };
    let (script, arguments) = behind_options(words).split_first()?;
    is_script(script).then(|| Meant {
        interpreter: Some(name),
        arguments: arguments.to_vec(),
        ..Meant::script(script)
    })
}

/// `npm start`, `npm run NAME`, `npm exec X`, `yarn NAME`
fn package(words: &[String], directory: &Path, depth: u8) -> Option<Meant> {
    let (verb, rest) = behind_options(words).split_first()?;
    match verb.as_str() {
        "exec" | "dlx" | "x" => follow(behind_options(rest), directory, depth),
        "run" | "run-script" => {
            let (name, rest) = behind_options(rest).split_first()?;
            script_of_package(name, rest, directory, depth)
        }
        name => script_of_package(name, rest, directory, depth),
    }
}

/// What `package.json` says of the script `name`. Without a word, `start` is `node server.js`.
fn script_of_package(
    name: &str,
    arguments: &[String],
    directory: &Path,
    depth: u8,
) -> Option<Meant> {
    let text = std::fs::read_to_string(directory.join("package.json")).ok()?;
    let package: Value = serde_json::from_str(&text).ok()?;
    let line = package.get("scripts").and_then(|all| all.get(name));
    let line = match line.and_then(Value::as_str) {
        Some(line) => line,
        None if name == "start" && directory.join("server.js").is_file() => "node server.js",
        None => return None,
    };
    // Only what runs at the end stays.
    let last = line.rsplit("&&").next()?;
    if last.contains(['|', ';', '&', '$', '`', '<', '>', '(']) {
        return None;
    }
    let plain = |word: &str| word.trim_matches(['"', '\'']).to_owned();
    let mut words: Vec<String> = last.split_whitespace().map(plain).collect();
    let given = arguments.iter().skip_while(|word| *word == "--");
    words.extend(given.cloned());
    follow(&words, directory, depth)
}

/// What runs the first script among these words, in the program's own process.
fn with_loader(words: &[String], own: &str) -> Option<Meant> {
    let place = words.iter().position(|word| is_script(word))?;
    Some(Meant {
        node_args: own.split_whitespace().map(str::to_owned).collect(),
        arguments: words[place + 1..]
            .iter()
            .skip_while(|word| *word == "--")
            .cloned()
            .collect(),
        ..Meant::script(&words[place])
    })
}

fn behind_options(words: &[String]) -> &[String] {
    let options = words.iter().take_while(|word| word.starts_with('-'));
    &words[options.count()..]
}

fn is_script(word: &str) -> bool {
    let extension = Path::new(word).extension().and_then(|it| it.to_str());
    matches!(extension, Some("js" | "cjs" | "mjs" | "ts" | "cts" | "mts")) && !word.starts_with('-')
}

fn is_variable(word: &str) -> bool {
    let name = word.split_once('=').map_or("", |(name, _)| name);
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && name.chars().all(allowed)
}

/// As a shell takes it for one word.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
