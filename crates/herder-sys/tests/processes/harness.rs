//! As much of a test harness as `cargo test` and `cargo nextest` need, without threads.

use std::panic::catch_unwind;
use std::process::ExitCode;

/// A test and its name.
pub(crate) type Case = (&'static str, fn());

/// Runs what the arguments ask for.
pub(crate) fn run(cases: &[Case]) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let given = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let filters = filters(&arguments);
    let wanted = |name: &str| {
        filters.is_empty()
            || filters.iter().any(|filter| {
                if given("--exact") {
                    name == *filter
                } else {
                    name.contains(filter)
                }
            })
    };
    // No test is ever ignored.
    let chosen: Vec<&Case> = cases
        .iter()
        .filter(|case| wanted(case.0) && !given("--ignored"))
        .collect();
    if given("--list") {
        for (name, _) in chosen {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    let mut failed = Vec::new();
    for (name, test) in &chosen {
        let passed = catch_unwind(test).is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        if !passed {
            failed.push(*name);
        }
    }
    println!(
        "\n{} passed, {} failed {failed:?}\n",
        chosen.len() - failed.len(),
        failed.len()
    );
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The arguments that are no flags and no values of one.
fn filters(arguments: &[String]) -> Vec<&str> {
    const WITH_VALUE: [&str; 5] = ["--format", "--color", "--test-threads", "--logfile", "-Z"];
    let mut found = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if WITH_VALUE.contains(&argument.as_str()) {
            rest.next();
        } else if !argument.starts_with('-') {
            found.push(argument.as_str());
        }
    }
    found
}
