//! A panic is a suicide: the worker that panicked is replaced at once and leaves.

use std::cell::RefCell;
use std::panic::PanicHookInfo;
use std::sync::{Arc, Once, OnceLock, Weak};

use crate::worker::link::Link;

/// The worker that this process is.
static PROCESS: OnceLock<Arc<Link>> = OnceLock::new();

thread_local! {
    /// The worker that this thread is, where a herd lives in one process.
    static THREAD: RefCell<Weak<Link>> = const { RefCell::new(Weak::new()) };
}

/// From now on a panic in any thread of this process is this worker's.
pub(crate) fn watch_process(link: &Arc<Link>) {
    // A process is one worker, once.
    let _already = PROCESS.set(Arc::clone(link));
    install_hook();
}

/// From now on a panic in this thread is this worker's.
pub(crate) fn watch_thread(link: &Arc<Link>) {
    THREAD.set(Arc::downgrade(link));
    install_hook();
}

/// Whether this process is this worker.
pub(crate) fn is_process(link: &Link) -> bool {
    PROCESS
        .get()
        .is_some_and(|own| std::ptr::eq(Arc::as_ptr(own), link))
}

/// Whether this thread is a worker of a herd in one process.
pub(crate) fn is_worker_thread() -> bool {
    THREAD.with_borrow(|link| link.strong_count() > 0)
}

fn install_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            previous(info);
            if let Some(link) = affected() {
                link.panicked(describe(info));
                if cfg!(panic = "abort") {
                    finish_here(&link);
                }
            }
        }));
    });
}

fn affected() -> Option<Arc<Link>> {
    // The thread may be past its locals: then only the process can be meant.
    let mine = THREAD.try_with(|link| link.try_borrow().ok().and_then(|link| link.upgrade()));
    mine.ok().flatten().or_else(|| PROCESS.get().cloned())
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let what = info.payload_as_str().unwrap_or("a value that is no text");
    match info.location() {
        Some(place) => format!("panicked at {place}: {what}"),
        None => format!("panicked: {what}"),
    }
}

/// Without unwinding the process aborts when the hook returns, so the other connections are waited
/// for in it. The panicking thread's own connection will not close any more.
fn finish_here(link: &Link) {
    let deadline = link.finish_by(link.timing().close_timeout);
    if link.others_go_on() {
        link.ending()
            .block_until(deadline, || link.tally().open() <= 1);
    }
    std::process::exit(crate::worker::finish::FAILED);
}
