use std::path::PathBuf;

use clap::CommandFactory;

use super::*;

/// A directory with a `package.json`.
struct Package(PathBuf);

impl Package {
    fn new(name: &str, scripts: &str) -> Package {
        let path = std::env::temp_dir().join(format!("herder-{name}-{}", std::process::id()));
        std::fs::create_dir(&path).expect("a directory");
        let text = format!(r#"{{"name":"x","scripts":{{{scripts}}}}}"#);
        std::fs::write(path.join("package.json"), text).expect("a file");
        Package(path)
    }

    fn refusal(&self, words: &str) -> Option<String> {
        refusal_of(&format!("--cwd {} {words}", self.0.display()))
    }
}

impl Drop for Package {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).expect("ours");
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn refusal_of(text: &str) -> Option<String> {
    let command = crate::cli::Cli::command();
    let run = command.find_subcommand("run").expect("the verb exists");
    refusal(&words(&format!("herder run {text}")), run)
}

#[track_caller]
fn assert_cure(text: &str, cure: &str) {
    let found = refusal_of(text).unwrap_or_else(|| panic!("{text:?} is not refused"));
    let told = found.split_once("type: ").map_or("", |(_, told)| told);
    let told = told.split(';').next().unwrap_or_default();
    assert_eq!(told, cure, "{text:?}: {found}");
}

#[test]
fn the_cure_is_what_to_type() {
    for (text, cure) in [
        ("node app.js", "herder run app.js"),
        (
            "-i 4 node --watch app.js a b",
            "herder run -i 4 app.js -- a b",
        ),
        (
            "node -r ./setup.js --watch-path=src app.js -i 2 --json",
            "herder run -i 2 --json --node-args='-r ./setup.js' app.js",
        ),
        ("tsx app.ts", "herder run --node-args='--import tsx' app.ts"),
        (
            "tsx watch src/app.ts",
            "herder run --node-args='--import tsx' src/app.ts",
        ),
        (
            "node_modules/.bin/tsx app.ts",
            "herder run --node-args='--import tsx' app.ts",
        ),
        (
            "npx -y tsx app.ts",
            "herder run --node-args='--import tsx' app.ts",
        ),
        ("nodemon server.js", "herder run server.js"),
        ("pm2 start server.js -i 4", "herder run -i 4 server.js"),
        (
            "deno run -A main.ts",
            "herder run --interpreter deno main.ts",
        ),
        ("bun main.ts", "herder run --interpreter bun main.ts"),
        (
            "-- tsx app.ts",
            "herder run --node-args='--import tsx' app.ts",
        ),
        (
            "-l 3000 -- node --watch app.js",
            "herder run -l 3000 app.js",
        ),
    ] {
        assert_cure(text, cure);
    }
}

#[test]
fn a_package_says_what_it_starts() {
    let package = Package::new(
        "package",
        r#""start":"npm run build && NODE_ENV=production node --enable-source-maps dist/server.js",
           "dev":"cross-env A=1 tsx watch src/server.ts","build":"tsc","both":"node a.js & node b.js",
           "loop":"npm run loop","again":"npm run dev -- --port 1""#,
    );
    let place = format!("--cwd {}", package.0.display());
    for (text, cure) in [
        (
            "npm start",
            "NODE_ENV=production herder run PLACE --node-args='--enable-source-maps' dist/server.js",
        ),
        (
            "npm -i 4 -- start",
            "NODE_ENV=production herder run PLACE -i 4 --node-args='--enable-source-maps' dist/server.js",
        ),
        (
            "-- npm start",
            "NODE_ENV=production herder run PLACE --node-args='--enable-source-maps' dist/server.js",
        ),
        (
            "yarn dev",
            "A=1 herder run PLACE --node-args='--import tsx' src/server.ts",
        ),
        (
            "pnpm run dev",
            "A=1 herder run PLACE --node-args='--import tsx' src/server.ts",
        ),
        (
            "node --run dev",
            "A=1 herder run PLACE --node-args='--import tsx' src/server.ts",
        ),
        (
            "npm run again",
            "A=1 herder run PLACE --node-args='--import tsx' src/server.ts -- --port 1",
        ),
    ] {
        let text = format!("{place} {text}");
        assert_cure(&text, &cure.replace("PLACE", &place));
    }
    for text in [
        "npm run both",
        "npm run build",
        "npm run loop",
        "npm test",
        "npm",
    ] {
        let found = package.refusal(text).expect("a launcher");
        assert!(
            found.contains("name the script that it starts: herder run"),
            "{found}"
        );
        assert!(found.ends_with(" SCRIPT"), "{found}");
    }
}

#[test]
fn a_package_that_says_nothing_starts_its_server() {
    let package = Package::new("plain", "");
    std::fs::write(package.0.join("server.js"), "").expect("a file");
    let found = package.refusal("npm start").expect("a launcher");
    assert!(found.ends_with(" server.js"), "{found}");
}

#[test]
fn a_program_can_be_run_as_it_is() {
    let found = refusal_of("-- npm run worker").expect("a launcher");
    assert!(
        found.contains("as one word: -- 'npm run worker'"),
        "{found}"
    );
}

fn refusal_of_one(word: &str) -> Option<String> {
    let command = crate::cli::Cli::command();
    let run = command.find_subcommand("run").expect("the verb exists");
    let words = ["herder", "run", "-i", "2", word].map(str::to_owned);
    refusal(&words, run)
}

#[test]
fn one_word_of_several_is_taken_apart() {
    for (word, cure) in [
        ("node app.js", "herder run -i 2 app.js"),
        (
            "tsx app.ts 1",
            "herder run -i 2 --node-args='--import tsx' app.ts -- 1",
        ),
        ("slow.js --fast", "herder run -i 2 slow.js -- --fast"),
        (
            "python3 -m http.server",
            "herder run -i 2 -- 'python3 -m http.server'",
        ),
    ] {
        let told = refusal_of_one(word).expect(word);
        assert!(told.ends_with(&format!("type: {cure}")), "{told}");
    }
    let told = refusal_of_one("npm start").expect("a launcher");
    assert!(told.contains("keep the channel"), "{told}");
    let scene = std::env::temp_dir().join(format!("herder {}.js", std::process::id()));
    std::fs::write(&scene, "").expect("a file");
    assert_eq!(
        refusal_of_one(&scene.to_string_lossy()),
        None,
        "it is called so"
    );
    std::fs::remove_file(scene).expect("ours");
}

#[test]
fn the_arguments_of_a_script_go_behind_the_dashes() {
    assert_cure("slow.js other.js", "herder run slow.js -- other.js");
    assert_cure(
        "-i 2 slow.js 1 --json 2",
        "herder run -i 2 --json slow.js -- 1 2",
    );
    assert_cure("slow.js 1 -- 2", "herder run slow.js -- 1 2");
    for text in [
        "slow.js",
        "slow.js -- 1",
        "slow.js -i 2",
        "slow.js --worker 2",
    ] {
        assert_eq!(refusal_of(text), None, "{text}");
    }
}

#[test]
fn a_program_goes_behind_the_dashes() {
    assert_cure("sh run.sh", "herder run -- sh run.sh");
    assert_cure(
        "-i 2 sh -c true --json",
        "herder run -i 2 --json -- sh -c true",
    );
    assert_cure("sh run.sh -- 1", "herder run -- sh run.sh 1");
    let told = refusal_of("sh run.sh").expect("a program");
    assert!(told.starts_with("\"sh\" is a program"), "{told}");
    let package = Package::new("program", "");
    std::fs::write(package.0.join("sh"), "").expect("a file");
    let told = package.refusal("sh run.sh").expect("a script");
    assert!(told.starts_with("\"sh\" is the script"), "{told}");
    for text in ["sh", "no-such-program-here -x"] {
        assert_eq!(refusal_of(text), None, "{text}");
    }
}

#[test]
fn what_follows_an_unknown_option_may_be_its_value() {
    for text in [
        "app.js -i 2 --latch 1s",
        "--latch 1s app.js",
        "app.js -Z 1s --grace 1s",
    ] {
        assert_eq!(refusal_of(text), None, "{text}");
    }
}

#[test]
fn what_is_no_launcher_is_not_refused() {
    for text in [
        "app.js",
        "-i 4 app.js",
        "-n npm app.js",
        "--name npm app.js",
        "--interpreter node app.js",
        "./npm",
        "bin/tsx",
        "--help",
        "",
        "-- node app.js",
        "-- node -e 1 --watch",
        "-- python3 app.py npm",
        "-- sh -c npm",
        "app.js -- npm start",
    ] {
        assert_eq!(refusal_of(text), None, "{text:?}");
    }
}

#[test]
fn an_ordinary_node_program_gets_a_hint() {
    let hint = |text: &str| hint(&words(text), Path::new("."));
    let told = hint("node --enable-source-maps app.js x").expect("a hint");
    assert!(told.contains("the port taken"), "{told}");
    let command = "herder run --node-args='--enable-source-maps' app.js -- x";
    assert!(told.ends_with(command), "{told}");
    assert_eq!(hint("node -e 1"), None);
    assert_eq!(hint("python3 app.py"), None);
}
