//! A fault that waits for its step.

use crate::scene::Scene;
use crate::wait;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// The variable that a herd needs for traps: see [`Trap::variable`].
const VARIABLE: &str = "HERDER_FAILPOINT";

/// How long it takes to say that one has come by, on a machine with a lot to do.
const CLAIMED: Duration = Duration::from_secs(5);

/// A place for one fault at a time, in a scene's directory.
#[derive(Debug)]
pub struct Trap {
    path: PathBuf,
}

/// Who has come by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sprung {
    /// The name of the step.
    pub step: String,
    /// The process.
    pub pid: i32,
}

impl Trap {
    /// The scene's trap, not armed.
    pub fn of(scene: &Scene) -> Trap {
        Trap {
            path: scene.directory().join("fault"),
        }
    }

    /// What a herd is started with so that it looks for the trap: a variable and its value.
    pub fn variable(&self) -> (&'static str, String) {
        (VARIABLE, format!("@{}", self.path.display()))
    }

    /// Arms it: at the `nth` of the steps `steps` (a name, or a begin of names and `*`) of one process, `action`
    /// (`kill`, `stop`, `errno=24` …) happens, once in the whole herd.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn arm(&self, steps: &str, action: &str, nth: u64) {
        self.disarm();
        let fresh = self.path.with_extension("new");
        let order = format!("{steps}:{action}:{nth}");
        let written = fs::write(&fresh, order).and_then(|()| fs::rename(&fresh, &self.path));
        if let Err(error) = written {
            panic!("{} cannot be armed: {error}", self.path.display());
        }
    }

    /// Takes it away, and forgets who has come by.
    pub fn disarm(&self) {
        // Not there = as wanted.
        let _gone = fs::remove_file(&self.path);
        let _gone = fs::remove_file(self.fired());
    }

    /// Takes it away if nobody has come by. Whoever does so in this very moment has.
    ///
    /// # Panics
    /// When somebody has taken it and does not say who.
    pub fn withdraw(&self) -> Option<Sprung> {
        if fs::remove_file(&self.path).is_ok() {
            return None;
        }
        let told = || self.sprung();
        Some(wait::until(CLAIMED, "who has come by", told))
    }

    /// Who has come by, if somebody has.
    pub fn sprung(&self) -> Option<Sprung> {
        let text = fs::read_to_string(self.fired()).ok()?;
        let (step, pid) = text.lines().last()?.split_once(' ')?;
        Some(Sprung {
            step: step.to_owned(),
            pid: pid.parse().ok()?,
        })
    }

    /// Waits until somebody has come by, or `is_over` says that nobody will.
    ///
    /// # Panics
    /// When neither comes true within `within`.
    #[track_caller]
    pub fn wait(&self, within: Duration, mut is_over: impl FnMut() -> bool) -> Option<Sprung> {
        wait::until(within, "a step, or the end of the operation", || {
            let over = is_over();
            let sprung = self.sprung();
            (over || sprung.is_some()).then_some(sprung)
        })
    }

    fn fired(&self) -> PathBuf {
        self.path.with_extension("fired")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sprung_trap_tells_by_whom() {
        let scene = Scene::new("trap");
        let trap = Trap::of(&scene);
        let soon = Duration::from_secs(1);
        trap.arm("master.*", "kill", 3);
        assert_eq!(
            fs::read_to_string(scene.directory().join("fault")).unwrap(),
            "master.*:kill:3"
        );
        assert_eq!(trap.wait(soon, || true), None);
        fs::write(trap.fired(), "master.*:kill:3\nmaster.spawn.stored 77\n").unwrap();
        assert_eq!(trap.withdraw(), None, "it was still there");
        let step = "master.spawn.stored".to_owned();
        let sprung = Some(Sprung { step, pid: 77 });
        assert_eq!(trap.wait(soon, || false), sprung);
        assert_eq!(trap.withdraw(), sprung, "somebody was faster");
        trap.disarm();
        assert_eq!(trap.sprung(), None);
    }
}
