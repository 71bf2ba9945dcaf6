use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The signal that asks a process to leave: any but those that it cannot answer to by leaving in
/// order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "i32", into = "i32")]
pub struct StopSignal(i32);

/// Why something is not a stop signal.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StopSignalError {
    /// No process can catch it, or the kernel sends it to say something else.
    #[error(
        "a worker cannot be asked to leave with {0}: use TERM, INT, QUIT, HUP, USR1, USR2 or another signal that it catches"
    )]
    Unfit(String),
    /// There is none of this name or number.
    #[error(
        "there is no signal {0:?}: use a name like \"TERM\" or \"SIGINT\", or a number from 1 to 64"
    )]
    Unknown(String),
}

/// The signals of Linux with one number on all our machines.
const NAMES: [(&str, i32); 28] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("SYS", 31),
];

/// The last real-time signal.
const LAST: i32 = 64;

/// They end it in disorder, stop it, wake it, or go unheard: ILL, TRAP, BUS, FPE, KILL, SEGV, CHLD,
/// CONT, STOP, TSTP, TTIN, TTOU.
const UNFIT: [i32; 12] = [4, 5, 7, 8, 9, 11, 17, 18, 19, 20, 21, 22];

impl StopSignal {
    /// SIGTERM.
    pub const TERM: StopSignal = StopSignal(15);

    /// The signal of this number.
    ///
    /// # Errors
    /// When there is none, or when it cannot ask a process to leave.
    pub fn new(number: i32) -> Result<StopSignal, StopSignalError> {
        if !(1..=LAST).contains(&number) {
            return Err(StopSignalError::Unknown(number.to_string()));
        }
        if UNFIT.contains(&number) {
            return Err(StopSignalError::Unfit(StopSignal(number).to_string()));
        }
        Ok(StopSignal(number))
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> i32 {
        self.0
    }
}

impl Default for StopSignal {
    fn default() -> StopSignal {
        StopSignal::TERM
    }
}

impl TryFrom<i32> for StopSignal {
    type Error = StopSignalError;

    fn try_from(number: i32) -> Result<StopSignal, StopSignalError> {
        StopSignal::new(number)
    }
}

impl From<StopSignal> for i32 {
    fn from(signal: StopSignal) -> i32 {
        signal.0
    }
}

impl FromStr for StopSignal {
    type Err = StopSignalError;

    /// `TERM`, `SIGTERM`, `term` or `15`.
    fn from_str(text: &str) -> Result<StopSignal, StopSignalError> {
        if let Ok(number) = text.parse() {
            return StopSignal::new(number);
        }
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        match NAMES.iter().find(|(known, _)| *known == name) {
            Some((_, number)) => StopSignal::new(*number),
            None => Err(StopSignalError::Unknown(text.to_owned())),
        }
    }
}

impl fmt::Display for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(_, number)| *number == self.0) {
            Some((name, _)) => write!(f, "SIG{name}"),
            None => write!(f, "signal {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_has_names_and_a_number() {
        for text in ["INT", "SIGINT", "sigint", "int", "2"] {
            assert_eq!(text.parse(), StopSignal::new(2), "{text}");
        }
        assert_eq!(StopSignal::TERM.to_string(), "SIGTERM");
        assert_eq!(StopSignal::new(40).map(StopSignal::number), Ok(40));
    }

    #[test]
    fn what_asks_nobody_to_leave_is_refused() {
        for text in ["KILL", "SIGSTOP", "9", "CHLD", "18"] {
            let refused = text.parse::<StopSignal>();
            assert!(matches!(refused, Err(StopSignalError::Unfit(_))), "{text}");
        }
        for text in ["", "0", "-15", "65", "SIG", "TERMINATE", "99999999999"] {
            let refused = text.parse::<StopSignal>();
            assert!(
                matches!(refused, Err(StopSignalError::Unknown(_))),
                "{text}"
            );
        }
    }

    #[test]
    fn a_state_file_cannot_hold_a_bad_one() {
        let term = serde_json::to_string(&StopSignal::TERM).expect("a number");
        assert_eq!(serde_json::from_str(&term).ok(), Some(StopSignal::TERM));
        assert!(serde_json::from_str::<StopSignal>("9").is_err());
    }
}
