//! The process.

use std::cell::Cell;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Once;

use herder_sys::signal::{self, Signal, SignalFd};
use herder_sys::{fd, limits};
use herder_wire::control::ToMaster;
use tokio::io::unix::AsyncFd;
use tokio::runtime::{Builder, LocalOptions};

use crate::life;
use crate::reactor;

/// The exit status after a failure.
pub(crate) const FAILED: u8 = 1;

/// How many threads read the files of the page, at most.
const READERS: usize = 4;

/// A gateway that is about to live.
#[derive(Debug)]
pub struct Gateway {
    /// The app whose clients it keeps.
    pub app: String,
    /// Which of the app's gateways it is, from 0.
    pub number: u16,
    /// Its life, from 1.
    pub incarnation: u64,
    /// The channel to the master: frames, packet by packet.
    pub control: OwnedFd,
    /// The listeners with their addresses, in the order of the configuration's protocols.
    pub listeners: Vec<(String, OwnedFd)>,
    /// The directory of the app's own page.
    pub page: Option<OwnedFd>,
}

impl Gateway {
    /// Lives until the master says otherwise, and returns the exit status: 0 after it was drained,
    /// else 1. What went wrong is said in one line on the standard error stream.
    ///
    /// To be called in a process that has one thread, which is to end with it: signals are blocked,
    /// and a panic ends the process with status 1, so that the master starts another gateway.
    pub fn run(self) -> u8 {
        end_with_a_panic();
        let app = self.app.clone();
        let signals = match prepare() {
            Ok(signals) => signals,
            Err(error) => return fail(&app, &error),
        };
        let runtime = Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(READERS)
            // Not a `LocalSet` in another runtime: that would poll this process's life each time that a client's
            // connection has something to say.
            .build_local(LocalOptions::default());
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => return fail(&app, &error),
        };
        runtime
            .block_on(async {
                let signals = Signals::new(signals)?;
                Ok(life::live(self, signals).await)
            })
            .unwrap_or_else(|error: io::Error| fail(&app, &error))
    }
}

/// The signals of this process, none of which ends it by itself.
pub(crate) struct Signals {
    signals: SignalFd,
    watched: AsyncFd<OwnedFd>,
    asked: Cell<bool>,
}

/// What somebody wants who tells this process to end.
pub(crate) enum Leave {
    /// That the master hears this, and sees to it.
    Asked(ToMaster),
    /// That it ends now: it was told before.
    AtOnce,
}

/// The terminal sends the first ones to everybody; what is to follow from them, the master says.
const SIGNALS: [Signal; 6] = [
    Signal::Hangup,
    Signal::Interrupt,
    Signal::Quit,
    Signal::Terminate,
    Signal::User1,
    Signal::User2,
];

impl Signals {
    fn new(signals: SignalFd) -> io::Result<Signals> {
        let watched = reactor::watch(fd::duplicate(signals.as_fd())?)?;
        Ok(Signals {
            signals,
            watched,
            asked: Cell::new(false),
        })
    }

    /// Waits until somebody wants this process to leave. Dropping the future loses nothing.
    pub(crate) async fn leave(&self) -> Leave {
        loop {
            let Ok(mut ready) = self.watched.readable().await else {
                return std::future::pending().await;
            };
            while let Ok(Some(signal)) = self.signals.read() {
                if signal != Signal::Terminate {
                    continue;
                }
                if self.asked.replace(true) {
                    return Leave::AtOnce;
                }
                let reason = "received SIGTERM".to_owned();
                return Leave::Asked(ToMaster::Retire { reason });
            }
            ready.clear_ready();
        }
    }
}

fn prepare() -> io::Result<SignalFd> {
    // Clients go when they like.
    signal::ignore_sigpipe()?;
    limits::raise_open_files()?;
    SignalFd::block(&SIGNALS)
}

/// One line that says why the process ends.
pub(crate) fn fail(app: &str, error: &dyn std::fmt::Display) -> u8 {
    let _closed = writeln!(io::stderr(), "herder: gateway of {app}: {error}");
    FAILED
}

thread_local! {
    static LIVES_HERE: Cell<bool> = const { Cell::new(false) };
}

/// A task that panics leaves state that nobody understands. The runtime would go on without it.
fn end_with_a_panic() {
    static INSTALLED: Once = Once::new();
    LIVES_HERE.set(true);
    INSTALLED.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            previous(info);
            if LIVES_HERE.try_with(Cell::get).unwrap_or(false) {
                std::process::exit(FAILED.into());
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const CHILD: &str = "HERDER_TEST_PANIC";

    /// What the test below runs in a process of its own: a task panics, which a runtime survives.
    #[test]
    fn a_task_that_panics() {
        if std::env::var_os(CHILD).is_none() {
            return;
        }
        end_with_a_panic();
        let runtime = Builder::new_current_thread()
            .build_local(LocalOptions::default())
            .unwrap();
        runtime.block_on(async {
            let panics = tokio::task::spawn_local(async { panic!("on purpose") });
            assert!(panics.await.is_err());
        });
    }

    #[test]
    fn a_panic_ends_the_process() {
        let ended = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "gateway::tests::a_task_that_panics"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        assert_eq!(ended.status.code(), Some(FAILED.into()));
    }
}
