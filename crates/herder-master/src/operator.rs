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
