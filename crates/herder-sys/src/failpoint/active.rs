//! The points of a build for tests.

use super::order::{Action, Order, Passer};
use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Mutex, OnceLock, PoisonError};

use rustix::process::{Signal, getpid, kill_process};

/// Where the orders are.
const VARIABLE: &str = "HERDER_FAILPOINT";

static SOURCE: OnceLock<Source> = OnceLock::new();
/// How often this process came by what each order means, by the order's file and place in it.
static PASSED: Mutex<BTreeMap<(Identity, usize), u64>> = Mutex::new(BTreeMap::new());

/// Which file: its inode is soon another one's, so that when it was written is a part of it.
type Identity = (u64, i64, i64);

/// Of orders that stand in the environment.
const FIXED: Identity = (0, 0, 0);

enum Source {
    Fixed(Vec<Order>),
    File(PathBuf),
    Nothing,
}

/// This process comes by the point `name`.
pub fn hit(name: &str) {
    if let Some(order) = due(name, Passer::Step) {
        // Only a call can fail with an error, and `due` knows that this is none.
        let _never = act(order.action);
    }
}

/// This process is about to make the call `name`, which can fail.
///
/// # Errors
/// What a test asks for; never without the feature `failpoints`.
pub fn check(name: &str) -> io::Result<()> {
    due(name, Passer::Call).map_or(Ok(()), |order| act(order.action))
}

/// The order that comes true now.
fn due(name: &str, passer: Passer) -> Option<Order> {
    match SOURCE.get_or_init(source) {
        Source::Nothing => None,
        Source::Fixed(orders) => count(orders, FIXED, name, passer),
        Source::File(path) => {
            let file = fs::metadata(path).ok()?;
            let file = (file.ino(), file.mtime(), file.mtime_nsec());
            let orders = Order::parse_all(&fs::read_to_string(path).ok()?);
            count(&orders, file, name, passer).filter(|_| claim(path, name))
        }
    }
}

fn source() -> Source {
    match env::var(VARIABLE) {
        Err(_) => Source::Nothing,
        Ok(value) => match value.strip_prefix('@') {
            Some(path) => Source::File(path.into()),
            None => Source::Fixed(Order::parse_all(&value)),
        },
    }
}

/// Counts this passage, and returns the order whose turn it is.
fn count(orders: &[Order], file: Identity, name: &str, passer: Passer) -> Option<Order> {
    let mut passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
    let mut due = None;
    for (place, order) in orders.iter().enumerate() {
        if order.means(name, passer) {
            let times = passed.entry((file, place)).or_default();
            *times += 1;
            if *times == order.nth {
                due = Some(order.clone());
            }
        }
    }
    due
}

/// Whether this process is the one for which the file comes true: only one can rename it.
fn claim(path: &Path, name: &str) -> bool {
    let mut fired = OsString::from(path);
    fired.push(".fired");
    if fs::rename(path, &fired).is_err() {
        return false;
    }
    let line = format!("\n{name} {}\n", process::id());
    let written = OpenOptions::new()
        .append(true)
        .open(fired)
        .and_then(|mut file| file.write_all(line.as_bytes()));
    written.is_ok()
}

fn act(action: Action) -> io::Result<()> {
    match action {
        Action::Errno(number) => Err(io::Error::from_raw_os_error(number)),
        Action::Exit(status) => process::exit(status),
        Action::Kill => {
            kill_process(getpid(), Signal::KILL)?;
            Ok(())
        }
        Action::Stop => {
            kill_process(getpid(), Signal::STOP)?;
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nth_passage_is_due_once() {
        let orders = Order::parse_all("here:kill:2");
        let file = (u64::MAX, 0, 0);
        let due = |name| count(&orders, file, name, Passer::Step).is_some();
        assert!(!due("here"));
        assert!(!due("there"));
        assert!(due("here"));
        assert!(!due("here"));
    }

    #[test]
    fn one_process_claims_a_file() {
        let path = env::temp_dir().join(format!("failpoint-{}", process::id()));
        let fired = path.with_extension("fired");
        fs::write(&path, "here:kill").unwrap();
        assert!(claim(&path, "here"));
        assert!(!claim(&path, "here"));
        let text = fs::read_to_string(&fired).unwrap();
        assert_eq!(text, format!("here:kill\nhere {}\n", process::id()));
        fs::remove_file(fired).unwrap();
    }

    #[test]
    fn an_error_is_returned() {
        assert_eq!(act(Action::Errno(24)).unwrap_err().raw_os_error(), Some(24));
    }
}
