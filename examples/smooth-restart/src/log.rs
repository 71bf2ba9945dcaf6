//! The master's log, line by line as the original program writes it.

use herder::{Exit, HerdEvent};

/// What the log remembers.
#[derive(Default)]
pub(crate) struct Log {
    /// Once the herd stops, deaths are its own doing and not told.
    stopping: bool,
}

impl Log {
    /// The hook for the cluster.
    pub(crate) fn observer(mut self) -> impl FnMut(&HerdEvent) + Send + 'static {
        move |event| {
            if let Some(line) = self.line(event) {
                print(&line);
            }
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the log tells of four kinds of events"
    )]
    fn line(&mut self, event: &HerdEvent) -> Option<String> {
        match event {
            HerdEvent::Forked { worker } => {
                let master = std::process::id();
                Some(format!(
                    "worker process created, pid: {} ppid: {master}",
                    worker.pid
                ))
            }
            HerdEvent::Exited { exit, .. } if !self.stopping => Some(exited(*exit)),
            HerdEvent::ShuttingDown { signal, .. } if !self.stopping => {
                self.stopping = true;
                Some(format!("进程退出！ {}", signal.unwrap_or("exit")))
            }
            HerdEvent::Stopping { worker, .. } if self.stopping => Some(format!(
                "master process exited, kill worker pid: {}",
                worker.pid
            )),
            _ => None,
        }
    }
}

fn exited(exit: Exit) -> String {
    let code = exit
        .code()
        .map_or("null".to_owned(), |code| code.to_string());
    let signal = herder::signal_name(&exit).unwrap_or("null");
    format!("worker process exited, code: {code} signal: {signal}")
}

#[expect(clippy::print_stdout, reason = "the example's own log")]
fn print(line: &str) {
    println!("{line}");
}
