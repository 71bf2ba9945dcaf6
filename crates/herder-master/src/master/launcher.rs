//! Launchers that are found out while they run: a worker that has started another Node, and does not
//! listen itself. The channel to the master is with the worker, and the other one is an ordinary process
//! that listens for itself.

use std::ffi::OsString;
use std::path::Path;

use herder_sys::proc;

use super::Master;
use super::crew::MemberId;

/// How many processes are looked at.
const MOST: usize = 32;

impl Master {
    /// Looks at what a worker has started that does not say that it listens. To be called when it was
    /// waited for long enough.
    pub(super) fn look_for_launcher(&mut self, id: MemberId) {
        let Some(member) = self.crews.member(id) else {
            return;
        };
        let node = member.node.as_ref();
        if !node.is_some_and(super::node::NodeLife::shall_listen) {
            return;
        }
        let launcher = script(&proc::arguments(member.child.pid));
        let mut started = proc::descendants(member.child.pid, MOST).into_iter();
        let Some(program) = started.find_map(program_of) else {
            return;
        };
        let launcher = launcher.unwrap_or_else(|| "it".to_owned());
        self.caution(format!(
            "a worker does not listen, but has started another Node ({program}): if {launcher} is a \
             launcher, it keeps the channel to the master for itself, and what it starts listens for \
             itself; run that: herder run {program}"
        ));
    }
}

/// What a process runs, if that is a program of Node's or of an engine like it.
fn program_of(pid: i32) -> Option<String> {
    let path = proc::executable(pid)?;
    let name = path.file_name()?.to_string_lossy();
    let is_engine = ["node", "deno", "bun"];
    if !is_engine.iter().any(|engine| name.starts_with(engine)) {
        return None;
    }
    script(&proc::arguments(pid))
}

/// The script among the arguments of an engine: the first one that is no option, nor the value of one.
fn script(arguments: &[OsString]) -> Option<String> {
    const WITH_VALUE: [&str; 6] = [
        "-r",
        "--require",
        "--import",
        "--loader",
        "--conditions",
        "-C",
    ];
    let mut words = arguments.iter().skip(1).map(|word| word.to_string_lossy());
    while let Some(word) = words.next() {
        if WITH_VALUE.contains(&&*word) {
            words.next();
        } else if !word.starts_with('-') && Path::new(&*word).extension().is_some() {
            return Some(word.into_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_stands_behind_the_options() {
        let of = |line: &str| {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            script(&words)
        };
        let tsx = "node --require /x/preflight.cjs --import file:///x/loader.mjs app.ts a.js";
        assert_eq!(of(tsx).as_deref(), Some("app.ts"));
        assert_eq!(of("deno run -A main.ts").as_deref(), Some("main.ts"));
        assert_eq!(
            of("node --watch-path=src /srv/app.js").as_deref(),
            Some("/srv/app.js")
        );
        assert_eq!(of("node -e 1"), None);
        assert_eq!(of("node"), None);
    }
}
