//! What an operator can say by signals. The keeper hears it and passes it on, the master obeys.

use std::time::Duration;

use herder_sys::signal::Signal;

/// What an operator can say.
pub(crate) const SIGNALS: [Signal; 8] = [
    Signal::Hangup,
    Signal::Interrupt,
    Signal::Quit,
    Signal::Terminate,
    Signal::Ttin,
    Signal::Ttou,
    Signal::User1,
    Signal::User2,
];

/// Two of the same ending signal within this time are one wish. `timeout`, for one, signals the
/// process and then its process group, which the process belongs to.
pub(crate) const ECHO: Duration = Duration::from_millis(50);

/// Whether the signal asks a herd to end.
pub(crate) fn is_end(signal: Signal) -> bool {
    matches!(signal, Signal::Interrupt | Signal::Quit | Signal::Terminate)
}

/// The signal in a set of signals, as the keeper is told which were obeyed.
pub(crate) fn bit(signal: Signal) -> u64 {
    let place = signal.number() - 1;
    let place = u32::try_from(place).ok();
    place.and_then(|place| 1u64.checked_shl(place)).unwrap_or(0)
}
