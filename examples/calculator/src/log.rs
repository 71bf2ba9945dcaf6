//! The master's log, line by line as the original program writes it.

use herder::{Cluster, HerdEvent};

/// Adds the hooks that write the log to standard output.
pub(crate) fn attach(cluster: Cluster) -> Cluster {
    let mut running = false;
    let greeting = move |event: &HerdEvent| {
        if matches!(event, HerdEvent::Listening { .. }) && !running {
            running = true;
            print(&format!("Primary {} is running", std::process::id()));
        }
    };
    cluster
        .on_event(greeting)
        .on_dispatched(|_, worker| print(&format!("Dispatch to {}", worker.id)))
        .on_exhausted(|worker| print(&format!("worker {} success!", worker.id)))
        .on_exit(|worker, _| print(&format!("worker {} died", worker.pid)))
}

#[expect(clippy::print_stdout, reason = "the example's own log")]
fn print(line: &str) {
    println!("{line}");
}
