use herder_core::Exit;
use herder_sys::signal::Signal;

/// The name of the signal that ended a process, as in `SIGKILL`; `None` when none did.
///
/// ```
/// assert_eq!(herder::signal_name(&herder::Exit::Signal(15)), Some("SIGTERM"));
/// assert_eq!(herder::signal_name(&herder::Exit::Code(1)), None);
/// ```
#[must_use]
pub fn signal_name(exit: &Exit) -> Option<&'static str> {
    exit.signal()
        .and_then(Signal::from_number)
        .map(Signal::name)
}
