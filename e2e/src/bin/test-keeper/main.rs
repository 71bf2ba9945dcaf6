//! A herd whose master does what a test says, and nothing else: so that the keeper is tested alone.
//!
//! Each argument is what one master does, the first that of the first, the last that of all that follow: steps
//! with commas between them. Every master first waits until the keeper has handed over, and prints what it gets.
//!
//! | step | what the master does |
//! |---|---|
//! | `beat=N` | lives for N times 20 ms, with a sign of life each |
//! | `charge` | takes charge |
//! | `child=LIFE` | starts a process that sleeps, and stores it as one of this life, with its number |
//! | `endchild` | sends that process a SIGKILL |
//! | `exit=N` | exits with this status |
//! | `forget=KEY` | forgets what is stored under it |
//! | `grace=MS` | says how long dead masters' processes have |
//! | `hand-over` | asks to be handed over to again, and prints what it gets |
//! | `kill`, `stop` | sends itself that signal |
//! | `leave` | says that the herd has ended |
//! | `listen=N` | stores a listener as `herd.listener.N` |
//! | `notify=TEXT` | has the service manager told; `;` is the end of a line |
//! | `pause=MS` | does nothing |
//! | `rest` | says that it sleeps until something happens |
//! | `signals` | prints the signals that come and what it hears, for ever; SIGTERM lets it leave and exit with 0 |
//! | `store=N` | stores N descriptors as `herd.node.0` to `herd.node.N-1` |
//! | `store-itself` | stores its own executable as that of the masters to come |
//! | `wait` | prints what it hears, for ever |
//! | `watchdog=MS` | says how long it may be silent |

#![expect(clippy::print_stdout, reason = "what the tests look at")]

mod master;

use std::process::ExitCode;
use std::time::Duration;

use herder::{Cluster, ClusterError, Worker};

fn main() -> Result<ExitCode, ClusterError> {
    if std::env::var("HERDER_ROLE").is_ok_and(|role| role.starts_with("master@")) {
        match master::live() {
            Ok(code) => return Ok(code),
            Err(error) => {
                println!("the stand-in failed: {error}");
                return Ok(ExitCode::from(99));
            }
        }
    }
    herder::init();
    let cluster = Cluster::new().name("test-keeper").listen("127.0.0.1:0");
    let cluster = cluster.grace(Duration::from_secs(1));
    cluster.run(|_worker: Worker| Ok::<(), std::io::Error>(()))
}
