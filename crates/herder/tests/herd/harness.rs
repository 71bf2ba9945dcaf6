//! What runs the tests, in the place of the one that has a `main` of its own.

use std::panic::catch_unwind;
use std::process::ExitCode;

/// A name and what is to be done.
pub(crate) type Test = (&'static str, fn());

/// Runs the tests that the arguments select, or lists them, as test runners expect it.
#[expect(clippy::print_stdout, reason = "the face of a test program")]
pub(crate) fn main(tests: &[Test]) -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let told = |flag: &str| args.iter().any(|arg| arg == flag);
    if told("--list") {
        for (name, _) in tests.iter().filter(|_| !told("--ignored")) {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    let filters: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let chosen = |name: &str| {
        filters.is_empty()
            || filters.iter().any(|filter| match told("--exact") {
                true => name == filter.as_str(),
                false => name.contains(filter.as_str()),
            })
    };
    let mut failed = 0;
    for (name, test) in tests.iter().filter(|(name, _)| chosen(name)) {
        let passed = catch_unwind(test).is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        failed += usize::from(!passed);
    }
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
