use std::cell::Cell;

thread_local! {
    static TRACE: Cell<Trace> = const { Cell::new(Trace::Off) };
}

/// Whether what happens is printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Trace {
    Off,
    On,
}

/// Sets it for the calling thread.
pub(crate) fn set(trace: Trace) {
    TRACE.set(trace);
}

#[expect(
    clippy::print_stdout,
    reason = "the trace is for whoever replays a seed"
)]
pub(crate) fn line(text: impl FnOnce() -> String) {
    if TRACE.get() == Trace::On {
        println!("{}", text());
    }
}
